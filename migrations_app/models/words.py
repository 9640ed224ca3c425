"""The words of a row, for the search in lists: an index of them answers where a search in texts would read all rows."""

from __future__ import annotations

import re

from django.contrib.postgres.search import SearchQuery, SearchVectorExact, SearchVectorField
from django.db.models import Func


class Words(Func):
    """The words of some columns of text: whatever letters and digits stand together. An index is used where a search
    names the same columns in the same order."""

    template = "to_tsvector('simple'::regconfig, regexp_replace(%(expressions)s, '[^[:alnum:]]+', ' ', 'g'))"
    arg_joiner = " || ' ' || "
    output_field = SearchVectorField()

    def have(self, searched: str) -> SearchVectorExact:
        """The condition that each word of `searched` begins one of them; it has one at least. Of what is joined, such
        as shop-12, all but the end are whole words: of those the index reads only what the rarest of them leaves."""
        query = " & ".join(word for joined in searched.split() for word in _asked(parts_of(joined)))
        return SearchVectorExact(self, SearchQuery(query, config="simple", search_type="raw"))


def _asked(parts: list[str]) -> list[str]:
    return [*parts[:-1], f"{parts[-1]}:*"] if parts else []


def parts_of(searched: str) -> list[str]:
    return re.findall(r"[^\W_]+", searched)

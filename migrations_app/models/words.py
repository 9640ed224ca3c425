"""The words of a row, for the search in lists: an index of them answers where a search in texts would read all rows."""

from __future__ import annotations

import re

from django.contrib.postgres.search import SearchQuery, SearchVectorExact, SearchVectorField
from django.db.models import Func, Q, TextField, Value
from django.db.models.functions import Lower, StrIndex
from django.db.models.lookups import GreaterThan


class Words(Func):
    """The words of some columns of text: whatever letters and digits stand together. An index is used where a search
    names the same columns in the same order."""

    template = "to_tsvector('simple'::regconfig, regexp_replace(%(expressions)s, '[^[:alnum:]]+', ' ', 'g'))"
    arg_joiner = " || ' ' || "
    output_field = SearchVectorField()

    def have(self, searched: str) -> Q:
        """The condition that each word of `searched` begins one of them; it has one at least. Of what is joined, such
        as shop-12, all but the end are whole words: of those the index reads only what the rarest of them leaves.

        What has the words contains them too: where the database goes through the rows, in their order, because very
        many have the words, it looks for that first. To take a row apart into words takes five times as long."""
        query = " & ".join(word for joined in searched.split() for word in _asked(parts_of(joined)))
        found = Q(SearchVectorExact(self, SearchQuery(query, config="simple", search_type="raw")))
        text = _Text(*self.source_expressions)
        for part in parts_of(searched):
            found &= Q(GreaterThan(StrIndex(text, Lower(Value(part))), 0))
        return found


class _Text(Func):
    """The columns as they are, in small letters."""

    template = "lower(%(expressions)s)"
    arg_joiner = Words.arg_joiner
    output_field = TextField()


def _asked(parts: list[str]) -> list[str]:
    return [*parts[:-1], f"{parts[-1]}:*"] if parts else []


def parts_of(searched: str) -> list[str]:
    return re.findall(r"[^\W_]+", searched)

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

        What has a word contains it too: where the database goes through the rows, in their order, because very many
        have it, it looks for that first. To take a row apart into words takes ten times as long. What is joined is
        rare; the index finds it, and nothing is gone through."""
        terms = [parts_of(joined) for joined in searched.split()]
        query = " & ".join(word for parts in terms for word in _asked(parts))
        found = Q(SearchVectorExact(self, SearchQuery(query, config="simple", search_type="raw")))
        words = [parts[0] for parts in terms if len(parts) == 1]
        if words:
            longest = Lower(Value(max(words, key=len)))
            found &= Q(GreaterThan(StrIndex(_Text(*self.source_expressions), longest), 0))
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

"""What a comparison under a running stream has done so far, in a form that can be kept as JSON."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from migrations_app.dataplane.database.pgoutput import Table
from migrations_app.dataplane.database.touched import Key, Touched
from migrations_app.verification.chunks import Mark, Progress

Difference = tuple[str, str]
"""What there is of a row at the primary, and at the replica."""

MOST_KEYS = 50_000
"""More keys of one table than that are not kept: the table is compared anew."""


@dataclass
class State:
    """`watch`: the position where the watch slot began. `pending`: rows to be compared by their keys, `whole`: tables
    to be compared as a whole; everything that was touched and not found equal since. `definitions`: the findings about
    schema, roles and database, `marks`: of which state of the two schemas; `begun`: as they
    were when rows began to be compared. `found`: rows that differ.
    """

    watch: str = ""
    progress: dict[Table, Progress] = field(default_factory=lambda: defaultdict(Progress))
    pending: dict[Table, set[Key]] = field(default_factory=lambda: defaultdict(set))
    whole: set[Table] = field(default_factory=set)
    found: dict[Table, dict[Key, Difference]] = field(default_factory=lambda: defaultdict(dict))
    begun: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    definitions: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, touched: Touched) -> None:
        self.whole |= touched.whole
        for table, keys in touched.keys.items():
            self.add_keys(table, keys)

    def add_keys(self, table: Table, keys: set[Key]) -> None:
        """Those that are kept of a table to be compared anew may still show early that it differs."""
        if len(self.pending[table]) + len(keys) <= MOST_KEYS:
            self.pending[table] |= keys
        else:
            self.pending[table] |= set(islice(keys, MOST_KEYS - len(self.pending[table])))
            self.whole.add(table)

    def keep_only(self, tables: Collection[Table]) -> None:
        """Forget those that are not there any more."""
        self.whole &= set(tables)
        for table in self.pending.keys() - set(tables):
            del self.pending[table]

    @property
    def rows(self) -> int:
        return sum(map(len, self.pending.values()))

    def as_json(self) -> dict[str, Any]:
        """Keys as Latin-1 text: a byte a letter, whatever the database's encoding."""
        return {
            "watch": self.watch,
            "progress": [
                [*table, mark.chunks, mark.compared, mark.rows, _text(mark.upto), mark.done]
                for table, one in self.progress.items()
                for mark in [one.mark]
            ],
            "pending": [[*table, [_text(key) for key in sorted(keys)]] for table, keys in self.pending.items() if keys],
            "whole": sorted(self.whole),
            "found": [
                [*table, [[_text(key), *sides] for key, sides in rows.items()]] for table, rows in self.found.items()
            ],
            "begun": self.begun,
            "marks": self.marks,
            "definitions": self.definitions,
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, kept: dict[str, Any]) -> State:
        state = cls()
        if not kept:
            return state
        state.watch, state.marks, state.definitions = kept["watch"], kept["marks"], kept["definitions"]
        state.begun, state.seconds = kept["begun"], kept["seconds"]
        state.whole = {(schema, name) for schema, name in kept["whole"]}
        for schema, name, chunks, compared, rows, upto, done in kept["progress"]:
            state.progress[schema, name] = Progress(Mark(chunks, compared, rows, _key(upto), done))
        for schema, name, keys in kept["pending"]:
            state.pending[schema, name] = {_key(text) or () for text in keys}
        for schema, name, found in kept["found"]:
            state.found[schema, name] = {
                key: (here, there) for text, here, there in found if (key := _key(text)) is not None
            }
        return state


def _text(key: Key | None) -> list[str] | None:
    return None if key is None else [part.decode("latin-1") for part in key]


def _key(text: list[str] | None) -> Key | None:
    return None if text is None else tuple(part.encode("latin-1") for part in text)

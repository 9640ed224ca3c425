"""Rows that differ, and how a report words them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from itertools import islice

from migrations_app.dataplane.database.touched import Key
from migrations_app.verification.chunks import Mark
from migrations_app.verification.report import Finding
from migrations_app.verification.state import Difference
from migrations_app.verification.tables import Pair

_NAMED_ROWS = 20

# What can be shown of a key: others may be secrets, like the token of a session.
_HARMLESS = {"smallint", "integer", "bigint", "numeric", "date", "boolean"}


def row_findings(pair: Pair, reached: Mark, found: Mapping[Key, Difference]) -> list[Finding]:
    """One for the table, and for the first of the rows that differ one each."""
    counted = f"{reached.rows} rows in {reached.compared} chunks"
    said = f"{len(found)} rows differ" if any(found) else "differs"
    return [
        Finding("table", pair.title, not found, counted, said if found else counted),
        *(
            Finding("row", f"{pair.title} {_named(pair, key)}", False, *sides)
            for key, sides in islice(sorted(found.items()), _NAMED_ROWS)
            if key
        ),
    ]


def apart(left: dict[Key, int], right: dict[Key, int]) -> dict[Key, Difference]:
    def said(rows: dict[Key, int], key: Key, there: str) -> str:
        return there if key in rows else "missing"

    return {
        key: (said(left, key, "there"), said(right, key, "other values" if key in left else "there"))
        for key in left.keys() | right.keys()
        if left.get(key) != right.get(key)
    }


def _named(pair: Pair, key: Key) -> str:
    assert pair.source  # noqa: S101 — rows of it were compared
    parts = [
        f"{column.name}={part.decode()}"
        if column.type in _HARMLESS
        else f"md5({column.name})={hashlib.md5(part, usedforsecurity=False).hexdigest()}"
        for column, part in zip(pair.source.key, key, strict=True)
    ]
    return f"({', '.join(parts)})"

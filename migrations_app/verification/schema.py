"""Compares two schemas as pg_dump words them: the most complete description of a database there is.

Tables, columns, constraints, indexes, views, functions, triggers, policies, types, comments, owners, grants, default
privileges … each is one entry under a header that names it.
"""

from __future__ import annotations

import re
from collections import Counter

_HEADER = re.compile(r"^--\n-- (?:Data for )?Name: (?P<title>.*)\n--\n", re.MULTILINE)
# Random per run, and the versions of server and client.
_NOISE = re.compile(r"^(\\restrict .*|\\unrestrict .*|-- Dumped .*|-- PostgreSQL database dump.*|--)\n", re.MULTILINE)

# `x IN ('a', 'b')` on a varchar is worded with one cast around the array, and once that was restored with one in each
# element.
_CONSTANT = r"E?'(?:[^'\\]|''|\\.)*'::[a-z ]+(?:\(\d+\))?"
_CAST_ARRAY = re.compile(rf"\(ARRAY\[({_CONSTANT}(?:, {_CONSTANT})*)\]\)::([a-z ]+)\[\]")

# A child's columns come in another order after a restore if its parents got some of them later.
_CHILD = re.compile(r"^(CREATE (?:UNLOGGED )?TABLE .*? \(\n)(.*?)(\n\)\nINHERITS \()", re.DOTALL)

# A policy's roles come in the order in which the cluster keeps its roles.
_POLICY = re.compile(r"^CREATE POLICY .*?(?= USING \(| WITH CHECK \(|;\n|;$)", re.DOTALL)

Entry = tuple[str, str]


def entries(dump: str) -> Counter[Entry]:
    """`(title, SQL)` of every object in the text of a `pg_dump --schema-only`."""
    found: Counter[Entry] = Counter()
    headers = list(_HEADER.finditer(dump))
    ends = [*(header.start() for header in headers[1:]), len(dump)] if headers else []
    for header, end in zip(headers, ends, strict=True):
        body = dump[header.end() : end]
        found[header["title"], _settled(_NOISE.sub("", body).strip())] += 1
    return found


def _settled(definition: str) -> str:
    """The definition without what differs between equal databases: PostgreSQL does not always word it the same."""

    def cast_each(found: re.Match[str]) -> str:
        constants = re.findall(_CONSTANT, found[1])
        return f"ARRAY[{', '.join(f'({constant})::{found[2]}' for constant in constants)}]"

    def sort_columns(found: re.Match[str]) -> str:
        return found[1] + ",\n".join(sorted(found[2].split(",\n"))) + found[3]

    def sort_words(found: re.Match[str]) -> str:
        return " ".join(sorted(found[0].replace(",", " ").split()))

    return _POLICY.sub(sort_words, _CHILD.sub(sort_columns, _CAST_ARRAY.sub(cast_each, definition)))


def differing(source: Counter[Entry], dest: Counter[Entry], *, definitions: bool = True) -> list[str]:
    """Titles of the objects that are not the same on both sides.

    With `definitions` off only the presence of objects is compared: servers of different major versions word the same
    definition differently.
    """
    if not definitions:
        source, dest = (Counter({(title, ""): n for (title, _), n in side.items()}) for side in (source, dest))
    return sorted({title for title, _ in (source - dest) + (dest - source)})

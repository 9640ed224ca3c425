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

Entry = tuple[str, str]


def entries(dump: str) -> Counter[Entry]:
    """`(title, SQL)` of every object in the text of a `pg_dump --schema-only`."""
    found: Counter[Entry] = Counter()
    starts = list(_HEADER.finditer(dump))
    for header, following in zip(starts, [*starts[1:], None], strict=True):
        body = dump[header.end() : following.start() if following else len(dump)]
        found[header["title"], _NOISE.sub("", body).strip()] += 1
    return found


def differing(source: Counter[Entry], dest: Counter[Entry], *, definitions: bool = True) -> list[str]:
    """Titles of the objects that are not the same on both sides.

    With `definitions` off only the presence of objects is compared: servers of different major versions word the same
    definition differently.
    """
    if not definitions:
        source, dest = (Counter({(title, ""): n for (title, _), n in side.items()}) for side in (source, dest))
    return sorted({title for title, _ in (source - dest) + (dest - source)})

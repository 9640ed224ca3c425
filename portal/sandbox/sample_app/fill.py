"""The guest book's tables, and entries enough that a move has something to carry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psycopg
from psycopg import sql

_AUTHORS = 240
_FIRST_NAMES = "Ada Björn Chidi Dolores Emre Fatima Grace Hiro Ines Jamal Katya Liam Mei Noor Olu Priya"
_LAST_NAMES = "Abara Bergström Costa Demir Eriksen Fujita García Haddad Ivanova Jansen Kaya López Mensah Nair Okafor"
_MESSAGES = (
    "The view from the roof alone was worth the journey.",
    "We came for a night and stayed for a week.",
    "Thank you for the soup, the stories and the spare umbrella.",
    "Best sleep in months. The cat is an excellent host.",
    "Our third visit, and it still feels like coming home.",
    "The children have asked whether we may live here.",
    "Everything worked, everyone smiled. What more is there?",
    "Rain for three days, and we did not mind at all.",
    "The bread! Please write down how you make the bread.",
    "Found this place by getting lost. Recommended.",
    "Quiet, kind, and the coffee is strong.",
)

_INSERT_AUTHORS = """
    INSERT INTO authors (name, entries_count)
    SELECT name, %(rows)s / %(authors)s + (place <= %(rows)s %% %(authors)s)::int
      FROM unnest(%(names)s::text[]) WITH ORDINALITY AS listed (name, place)
     WHERE place <= %(authors)s
     ORDER BY place
"""
# Authors' ids are 1, 2, …: their table was made in this same transaction.
_INSERT_ENTRIES = """
    INSERT INTO entries (author_id, key, message, details, created_at)
    SELECT 1 + (n - 1) %% %(authors)s,
           'seed-' || n,
           (%(messages)s::text[])[1 + (n * 7) %% cardinality(%(messages)s::text[])],
           jsonb_build_object('via', 'seed', 'nights', 1 + n %% 9),
           now() - (%(rows)s - n) * interval '30 days' / %(rows)s
      FROM generate_series(1, %(rows)s) AS n
     ORDER BY n
"""
_INSERT_PICTURES = """
    INSERT INTO entry_pictures (entry_id, name, content_type, size_bytes)
    SELECT newest.id, picture.name, 'image/png', picture.size
      FROM unnest(%(names)s::text[], %(sizes)s::int[]) WITH ORDINALITY AS picture (name, size, place)
      JOIN (SELECT id, row_number() OVER (ORDER BY id DESC) AS place FROM entries
             ORDER BY id DESC LIMIT %(pictures)s) AS newest
        ON newest.place = 1 + (picture.place - 1) %% least(%(rows)s, %(pictures)s)
"""


def schema_and_rows(connection: psycopg.Connection, *, role: str, rows: int, pictures: Mapping[str, int]) -> None:
    """In one transaction, as `role`: the schema, `rows` entries, and `pictures` (name → bytes) on the newest ones.

    Does nothing where the tables exist. `connection` is an administrator's, to the app's own database, in autocommit.
    """
    if connection.execute("SELECT to_regclass('public.entries')").fetchone() != (None,):
        return
    authors = min(rows, _AUTHORS)
    values = {
        "rows": rows,
        "authors": authors,
        "names": [f"{first} {last}" for last in _LAST_NAMES.split() for first in _FIRST_NAMES.split()],
        "messages": list(_MESSAGES),
    }
    with connection.transaction():
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        connection.execute((Path(__file__).parent / "schema.sql").read_bytes())
        if rows:
            connection.execute(_INSERT_AUTHORS, values)
            connection.execute(_INSERT_ENTRIES, values)
        if rows and pictures:
            listed = {"names": list(pictures), "sizes": list(pictures.values()), "pictures": len(pictures)}
            connection.execute(_INSERT_PICTURES, {"rows": rows, **listed})
    connection.execute("ANALYZE")

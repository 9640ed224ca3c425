"""The database that benches copy: one large table, six medium ones, twenty small ones, as an app might have them."""

from __future__ import annotations

_TEXT = "md5(n::text) || ' ' || md5((n + 1)::text)"
_JSON = "jsonb_build_object('n', n, 'tag', 'tag-' || n % 1000, 'text', repeat(md5(n::text), 3))"
_SMALL_TABLES = 20


def mix(megabytes: int) -> str:
    """SQL that makes about so many megabytes of tables and indexes; every size has the same shape."""
    parts = [
        f"""
CREATE TABLE ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account int NOT NULL, amount numeric(12, 2) NOT NULL,
    note text NOT NULL, data jsonb NOT NULL, at timestamptz NOT NULL);
INSERT INTO ledger (account, amount, note, data, at)
    SELECT n % 10007, n % 9973 / 7.0, {_TEXT}, {_JSON}, '2024-01-01'::timestamptz + n * interval '1 second'
    FROM generate_series(1, {megabytes * 1550}) n;
CREATE INDEX ON ledger (account);
CREATE INDEX ON ledger (at);
"""
    ]
    for number in range(1, 5):
        parts.append(f"""
CREATE TABLE event_{number} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, kind text NOT NULL, data jsonb NOT NULL, at timestamptz);
INSERT INTO event_{number} (kind, data, at)
    SELECT 'kind-' || n % 50, {_JSON}, '2024-01-01'::timestamptz + n * interval '1 minute'
    FROM generate_series(1, {megabytes * 270}) n;
CREATE INDEX ON event_{number} (kind, at);
CREATE INDEX ON event_{number} ((data ->> 'tag'));
""")
    for number in range(1, 3):
        parts.append(f"""
CREATE TABLE document_{number} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL UNIQUE, body text NOT NULL);
INSERT INTO document_{number} (title, body)
    SELECT md5(n::text), (SELECT string_agg(md5((n * 100 + part)::text), ' ') FROM generate_series(1, 100) part)
    FROM generate_series(1, {megabytes * 25}) n;
""")
    for number in range(_SMALL_TABLES):
        parts.append(f"""
CREATE TABLE small_{number} (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO small_{number} SELECT n, 'name ' || n FROM generate_series(1, 50) n;
""")
    return "".join(parts)

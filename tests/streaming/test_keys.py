"""Rows are found by their keys, of whatever kind those are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_app.verification import chunks
from tests.streaming.pair import Pair, named

KEYS = """
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN code AS text;
CREATE TABLE composite (tenant int, email citext, n int, PRIMARY KEY (tenant, email));
INSERT INTO composite SELECT n % 3, 'Ünï-' || n, n FROM generate_series(1, 50) n;
CREATE TABLE same_operators (a int, b int, n int, PRIMARY KEY (a, b));
INSERT INTO same_operators SELECT n % 3, n, n FROM generate_series(1, 50) n;
CREATE TABLE by_text (k text PRIMARY KEY, n int);
INSERT INTO by_text SELECT (ARRAY['{a,"b"}', 'it''s \\ ', '', 'null', 'ü%s'])[1 + n % 5] || nullif(n, 10), n
  FROM generate_series(1, 50) n WHERE n <> 10;
CREATE TABLE by_uuid (k uuid PRIMARY KEY, n int);
INSERT INTO by_uuid SELECT gen_random_uuid(), n FROM generate_series(1, 50) n;
CREATE TABLE by_several (m mood, k text COLLATE "C", d code, n int, PRIMARY KEY (m, k, d));
INSERT INTO by_several SELECT (ARRAY['sad', 'ok', 'happy']::mood[])[1 + n % 3], 'k' || n, 'd', n
  FROM generate_series(1, 50) n;
CREATE TABLE by_time (t timestamptz, f float8, b boolean, i inet, n int, PRIMARY KEY (t, f, b, i));
INSERT INTO by_time SELECT now() + n * interval '1 day', n / 3.0, n % 2 = 0, '10.0.0.1', n
  FROM generate_series(1, 50) n;
CREATE TABLE "Odd "" name %s" ("k %s {}" character(5) PRIMARY KEY, n int);
INSERT INTO "Odd "" name %s" SELECT n::text, n FROM generate_series(1, 50) n;
CREATE TABLE by_index (k int NOT NULL, n int);
CREATE UNIQUE INDEX by_index_k ON by_index (k DESC);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_k;
INSERT INTO by_index SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE both_ways (a int NOT NULL, b int NOT NULL, n int);
CREATE UNIQUE INDEX both_ways_k ON both_ways (a, b DESC);
INSERT INTO both_ways SELECT n % 3, n, n FROM generate_series(1, 50) n;
CREATE TABLE computed (k int PRIMARY KEY, n int, g int GENERATED ALWAYS AS (n * 2) STORED);
INSERT INTO computed SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE parted (k int PRIMARY KEY, n int) PARTITION BY RANGE (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (20);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (20) TO (100);
INSERT INTO parted SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE parent (k int PRIMARY KEY, n int);
CREATE TABLE child (PRIMARY KEY (k)) INHERITS (parent);
INSERT INTO parent SELECT n, 1000 + n FROM generate_series(1, 50) n;
INSERT INTO child SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE with_full (k int PRIMARY KEY, n int);
ALTER TABLE with_full REPLICA IDENTITY FULL;
INSERT INTO with_full SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE arrays (k text[] PRIMARY KEY, n int);
INSERT INTO arrays SELECT ARRAY['a"' || n, NULL], n FROM generate_series(1, 50) n;
CREATE TABLE ranges (k int4range PRIMARY KEY, n int);
INSERT INTO ranges SELECT int4range(n, n + 5), n FROM generate_series(1, 50) n;
CREATE TABLE long_keys (k text PRIMARY KEY, n int);
ALTER TABLE long_keys ALTER k SET STORAGE EXTERNAL;
INSERT INTO long_keys SELECT repeat('x', 2400) || n, n FROM generate_series(1, 50) n;
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
"""
WITH_ROWS = (
    "composite", "same_operators", "by_text", "by_uuid", "by_several", "by_time", 'Odd " name %s', "by_index",
    "both_ways", "computed", "parted_2", "child", "with_full", "arrays", "ranges", "long_keys",
)  # fmt: skip


def on_each(statement: str) -> str:
    """The statement for every table, with its name put in."""
    return "; ".join(statement.replace("{}", '"' + table.replace('"', '""') + '"') for table in WITH_ROWS)


def rows_of(found: list[str]) -> list[str]:
    return sorted(name.removeprefix("row public.").rpartition(" (")[0] for name in found if name.startswith("row "))


def test_every_kind_of_key(make_pair: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 7)
    pair = make_pair(KEYS)
    with pair.compared() as comparison:
        comparison.narrow()
        assert named(comparison.report()) == []
        cut = {pair.name[1] for pair in comparison._streamed.values() if pair.cut}
        assert {"composite", "same_operators", "by_text", "by_uuid", "by_several", "by_time"} <= cut
        pair.write(on_each("UPDATE {} SET n = n + 1"))
        pair.write("UPDATE same_operators SET b = -b WHERE b > 40; DELETE FROM by_uuid WHERE n > 40")
        pair.write("INSERT INTO nothing DEFAULT VALUES")
        pair.drain()
        pair.shop.sql(pair.replica, on_each("UPDATE {} SET n = -7 WHERE n = 26"))
        pair.shop.sql(pair.replica, "DELETE FROM nothing")
        found = named(comparison.settle())
        assert rows_of(found) == sorted(WITH_ROWS)
        assert "table public.nothing" in found
        assert "table public.parent" not in found
    with pair.comparison(kept={}) as comparison:
        comparison.begin()
        comparison.compare_rows()
        found = [f"{one.kind} {one.name}" for one in comparison.differences]
        assert rows_of(found) == sorted(WITH_ROWS)
        assert "table public.nothing" in found

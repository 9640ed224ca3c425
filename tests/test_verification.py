"""The comparison finds what is wrong, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.conf import LazySettings

from migrations_app.dataplane.database import fence
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.process import no_check
from migrations_app.errors import StepError
from migrations_app.models import Region
from migrations_app.verification import chunks
from migrations_app.verification.comparison import compare
from migrations_app.verification.mark import mark
from migrations_app.verification.properties import definition
from migrations_app.verification.report import Report
from migrations_app.verification.schema import differing, entries
from tests.conftest import Shop, moved

DAMAGE = {
    "one changed byte": ("UPDATE item SET name = 'item 25?' WHERE id = 250", "table public.item"),
    "one missing row": ("DELETE FROM item WHERE id = 499", "table public.item"),
    "one extra row": ("INSERT INTO item (name) OVERRIDING SYSTEM VALUE VALUES ('x')", "table public.item"),
    "two rows with their values swapped": (
        "UPDATE item SET name = CASE id WHEN 1 THEN 'item 2' ELSE 'item 1' END WHERE id IN (1, 2)",
        "table public.item",
    ),
    "a sequence behind": ("SELECT setval('ticket', 1, false)", "sequence public.ticket"),
    "an index missing": ("DROP INDEX item_name", "schema item_name"),
    "a grant lost": ("REVOKE SELECT ON item FROM PUBLIC", "schema TABLE item"),
    "an extra table": ("CREATE TABLE extra ()", "table public.extra"),
    "a column's default changed": ("ALTER TABLE event ALTER what SET DEFAULT 'x'", "schema event"),
    "a changed large object": ("SELECT lo_put(max(oid), 0, 'A') FROM pg_largeobject_metadata", "large objects all"),
    "an unlogged table's row": ("DELETE FROM scratch", "table public.scratch"),
    "a setting lost": (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET work_mem', current_database()); END $$",
        "database settings",
    ),
    "another owner": ("ALTER TABLE event OWNER TO portal", "schema event"),
    "a comment lost": ("COMMENT ON TABLE item IS NULL", "schema TABLE item"),
    "a table missing": ("DROP TABLE event", "table public.event"),
}


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 50)


@pytest.fixture
def sides(make_shop: Callable[..., Shop], regions: dict[str, Region]) -> tuple[Cluster, Cluster, Shop]:
    shop = make_shop()
    us, eu = regions["us-east-1"], regions["eu-west-1"]
    shop.sql(
        us, "CREATE INDEX item_name ON item (name); GRANT SELECT ON item TO PUBLIC; COMMENT ON TABLE item IS 'things'"
    )
    with shop.cluster(us).admin() as admin:
        admin.execute(f"ALTER DATABASE {shop.app.database} SET work_mem = '5MB'")
    assert moved(shop.app, "eu-west-1").app.region == eu
    fence.open_up(shop.cluster(us), fence.read_connect_grants(shop.cluster(eu)))
    return shop.cluster(us), shop.cluster(eu), shop


def report(source: Cluster, dest: Cluster) -> Report:
    return compare(source, dest, jobs=2, check=no_check, on_table=lambda done, total: None)


def named(found: Report) -> list[str]:
    return [f"{finding.kind} {finding.name}" for finding in found.differences]


def test_it_finds_each_kind_of_damage(sides: tuple[Cluster, Cluster, Shop], regions: dict[str, Region]) -> None:
    """One after the other in one database: what is found must name what was done, and grow by it."""
    source, dest, shop = sides
    assert named(report(source, dest)) == []
    known: set[str] = set()
    for what, (statement, expected) in DAMAGE.items():
        shop.sql(regions["us-east-1"], statement)
        found = set(named(report(source, dest)))
        assert any(expected in name for name in found), f"{what} was not found: {found}"
        known |= found


def test_an_interrupted_comparison_ends_its_queries(sides: tuple[Cluster, Cluster, Shop]) -> None:
    from migrations_app.errors import AbortRequested

    source, dest, _ = sides

    def check() -> None:
        raise AbortRequested

    with pytest.raises(AbortRequested):
        compare(source, dest, jobs=2, check=check, on_table=lambda done, total: None)


def test_large_tables_are_compared_in_chunks(sides: tuple[Cluster, Cluster, Shop]) -> None:
    source, dest, _ = sides
    found = report(source, dest)
    open_ended, event, scratch = 1, 1, 1
    assert found.chunks == 500 // 50 + open_ended + event + scratch
    assert (found.rows, found.as_json()["depth"]) == (502, "full")


def test_a_row_beyond_the_last_chunk_is_found(sides: tuple[Cluster, Cluster, Shop], us: Region) -> None:
    source, dest, shop = sides
    for key in (-7, 10**9):
        shop.sql(us, f"INSERT INTO item OVERRIDING SYSTEM VALUE VALUES ({key}, 'extra')")
        assert "table public.item" in named(report(source, dest))
        shop.sql(us, f"DELETE FROM item WHERE id = {key}")
    assert named(report(source, dest)) == []


def test_the_depth_says_how_much_of_the_rows_is_read(
    sides: tuple[Cluster, Cluster, Shop], us: Region, settings: LazySettings
) -> None:
    source, dest, shop = sides
    shop.sql(us, "UPDATE item SET name = 'spoilt' WHERE id <= 50; DROP INDEX item_name")
    settings.MOVES_VERIFICATION_DEPTH = "sample"
    found = report(source, dest)
    assert set(named(found)) >= {"table public.item"}  # the first chunk is always in the sample
    assert 0 < found.chunks < 12
    assert found.rows < 502
    settings.MOVES_VERIFICATION_DEPTH = "schema"
    found = report(source, dest)
    assert "table public.item" not in named(found)
    assert [name for name in named(found) if "item_name" in name]
    assert (found.rows, found.chunks, found.as_json()["depth"]) == (0, 0, "schema")


CHANGES = """
ALTER TABLE event ADD extra int
ALTER TABLE event ALTER extra SET DEFAULT 7
ALTER TABLE event DROP extra
ALTER TABLE event SET (fillfactor = 70)
ALTER TABLE event REPLICA IDENTITY DEFAULT
ALTER TABLE item ADD CHECK (name <> 'x')
ALTER TABLE item ENABLE ROW LEVEL SECURITY
CREATE POLICY p ON item USING (true)
ALTER INDEX item_name RENAME TO item_named
DROP INDEX item_named
COMMENT ON TABLE item IS 'other things'
CREATE TYPE mood AS ENUM ('sad')
ALTER TYPE mood ADD VALUE 'happy'
CREATE DOMAIN positive AS int
ALTER DOMAIN positive ADD CHECK (VALUE > 0)
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'
CREATE FUNCTION t() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'
CREATE TRIGGER t BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION t()
ALTER TABLE item DISABLE TRIGGER t
CREATE VIEW v AS SELECT 1 AS n
CREATE OR REPLACE VIEW v AS SELECT 2 AS n
CREATE RULE r AS ON INSERT TO event DO ALSO NOTHING
CREATE STATISTICS s ON id, name FROM item
CREATE FUNCTION e() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'
CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION e()
ALTER EVENT TRIGGER e DISABLE
ALTER SEQUENCE ticket INCREMENT 2
ALTER SEQUENCE ticket RENAME TO tickets
CREATE SCHEMA other
ALTER SCHEMA public OWNER TO pg_read_all_data
CREATE EXTENSION citext
CREATE AGGREGATE total (int) (sfunc = int4pl, stype = int)
CREATE CAST (mood AS int) WITH INOUT
GRANT SELECT ON event TO PUBLIC
GRANT SELECT (name) ON item TO pg_monitor
GRANT USAGE ON SCHEMA other TO PUBLIC
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_logdir() TO PUBLIC
GRANT TEMPORARY ON DATABASE {db} TO pg_monitor
GRANT SELECT ON pg_catalog.pg_authid TO pg_monitor
REVOKE SELECT ON event FROM PUBLIC
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC
GRANT pg_monitor TO {db}
ALTER ROLE {db} PASSWORD 'another one'
ALTER ROLE {db} SET work_mem = '6MB'
ALTER DATABASE {db} SET work_mem = '7MB'
COMMENT ON DATABASE {db} IS 'mine'
CREATE TABLE child () INHERITS (event)
ALTER TABLE child NO INHERIT event
DROP TABLE child
"""
NO_CHANGES = """
INSERT INTO item (name) VALUES ('more')
DELETE FROM item
VACUUM
VACUUM FULL item
ANALYZE
TRUNCATE scratch
SELECT nextval('ticket')
REFRESH MATERIALIZED VIEW item_count
CREATE TEMP TABLE t (id int PRIMARY KEY, n text DEFAULT 'x')
CREATE SCHEMA portal_move
CREATE TABLE portal_move.sentinel (id uuid PRIMARY KEY)
ALTER DATABASE {db} SET default_transaction_read_only = on
REVOKE CONNECT ON DATABASE {db} FROM PUBLIC
"""


def marked(at: Cluster) -> str:
    with at.connect() as connection:
        return mark(connection, definition(at, fenced=True))


def test_the_mark_changes_with_the_schema_and_with_nothing_else(
    sides: tuple[Cluster, Cluster, Shop], eu: Region
) -> None:
    _, at, shop = sides
    shop.sql(eu, "CREATE INDEX IF NOT EXISTS item_name ON item (name)")
    before = marked(at)
    for statement in NO_CHANGES.strip().format(db=shop.app.database).splitlines():
        shop.sql(eu, statement)
        assert marked(at) == before, statement
    for statement in CHANGES.strip().format(db=shop.app.database).splitlines():
        try:
            shop.sql(eu, statement)
        except StepError as refused:
            pytest.fail(f"{statement}: {refused}")
        before, last = marked(at), before
        assert before != last, statement


def test_schemas_are_compared_object_by_object() -> None:
    one = "--\n-- Name: a; Type: TABLE; Schema: s; Owner: o\n--\n\nCREATE TABLE s.a ();\n\n\\restrict x\n"
    other = one.replace("()", "(n int)").replace("\\restrict x", "\\restrict y")
    title = "a; Type: TABLE; Schema: s; Owner: o"
    assert differing(entries(one), entries(one.replace("\\restrict x", "\\restrict y"))) == []
    assert differing(entries(one), entries(other)) == [title]
    assert differing(entries(one), entries(other), definitions=False) == []
    assert differing(entries(one), entries("")) == [title]

"""The comparison finds what is wrong, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_app.dataplane.database import fence
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.process import no_check
from migrations_app.models import Region
from migrations_app.verification.comparison import compare
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


def test_schemas_are_compared_object_by_object() -> None:
    one = "--\n-- Name: a; Type: TABLE; Schema: s; Owner: o\n--\n\nCREATE TABLE s.a ();\n\n\\restrict x\n"
    other = one.replace("()", "(n int)").replace("\\restrict x", "\\restrict y")
    title = "a; Type: TABLE; Schema: s; Owner: o"
    assert differing(entries(one), entries(one.replace("\\restrict x", "\\restrict y"))) == []
    assert differing(entries(one), entries(other)) == [title]
    assert differing(entries(one), entries(other), definitions=False) == []
    assert differing(entries(one), entries("")) == [title]

"""What preflight finds in real regions; that it changes nothing, and that nothing which is away hides the rest."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import LazySettings
from psycopg import sql

from migrations_app.dataplane.database.connection import Cluster
from migrations_app.errors import PermanentError, TransientError
from migrations_app.models import App, AppMigration, Region
from migrations_app.preflight import Unwritten, access, choose_strategy, look, preflight, room, servers
from migrations_app.preflight.sight import sight_of
from migrations_app.preflight.table import CHECKS
from migrations_app.states import Strategy
from tests.conftest import Shop

KEYED = "CREATE TABLE item (id bigint PRIMARY KEY, name text)"

Found = dict[str, list[dict[str, Any]]]


@pytest.fixture
def keyed(make_shop: Callable[..., Shop]) -> Shop:
    """A shop about whose database there is nothing to say."""
    return make_shop(schema=KEYED)


def row_of(app: App, strategy: Strategy = Strategy.SNAPSHOT) -> AppMigration:
    """A move from us-east-1 to eu-west-1, not on the books."""
    regions = {region.slug: region for region in Region.objects.all()}
    return AppMigration(
        app=app, source_region=regions["us-east-1"], dest_region=regions["eu-west-1"], strategy=strategy
    )


def by_id(findings: list[dict[str, Any]]) -> Found:
    found: Found = {}
    for finding in findings:
        found.setdefault(finding["id"], []).append(finding)
    return found


def found(app: App, strategy: Strategy = Strategy.SNAPSHOT) -> Found:
    return by_id(look(row_of(app, strategy)))


def one(app: App, id: str, strategy: Strategy = Strategy.SNAPSHOT) -> dict[str, Any]:
    (finding,) = found(app, strategy)[id]
    return finding


def problems(found: Found) -> list[tuple[str, str]]:
    return [(f["id"], f["outcome"]) for listed in found.values() for f in listed if f["outcome"] != "pass"]


def as_superuser(shop: Shop, statement: str) -> None:
    with shop.cluster(shop.app.region).connect() as connection:
        connection.execute(statement)


# -- an app that can be moved -----------------------------------------------------------------------------------------


def test_every_check_answers_in_the_tables_order(keyed: Shop) -> None:
    for strategy in (Strategy.SNAPSHOT, Strategy.LIVE):
        findings = found(keyed.app, strategy)
        assert list(findings) == [check.id for check in CHECKS]
        assert problems(findings) == []
        assert all(f["found"] for listed in findings.values() for f in listed)


def test_a_whole_app_can_be_moved(app: App) -> None:
    findings = found(app)
    assert problems(findings) == []
    assert findings["PF701"][0]["figures"]["blobs"] > 0
    assert "is green" in findings["PF705"][0]["found"]
    assert findings["PF601"][0]["figures"]["bytes"] > 0


# -- what is in the database ------------------------------------------------------------------------------------------

TRIGGER = """
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql {volatility} AS 'BEGIN {body} RETURN NEW; END';
CREATE TRIGGER note AFTER INSERT ON public.item FOR EACH ROW EXECUTE FUNCTION noted();
ALTER TABLE public.item ENABLE {mode} TRIGGER note;
"""
WRITES = "DELETE FROM item WHERE id = NEW.id - 1;"
ALWAYS = TRIGGER.format(volatility="VOLATILE", body=WRITES, mode="ALWAYS")
HARMLESS = [
    TRIGGER.format(volatility="STABLE", body="SELECT 1;", mode="REPLICA"),
    TRIGGER.format(volatility="VOLATILE", body="NEW.name := upper(NEW.name);", mode="ALWAYS"),
]
RENAMED = """
ALTER COLLATION pg_catalog.pg_c_utf8 RENAME TO "only-here";
ALTER TABLE public.item ALTER name TYPE text COLLATE "only-here";
"""


@pytest.mark.parametrize(
    ("statement", "id", "outcome", "names"),
    [
        ("CREATE SCHEMA portal_move", "PF302", "fail", "portal_move"),
        ("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER elsewhere FOREIGN DATA WRAPPER w", "PF309", "warn", "elsewhere"),
        ("CREATE PUBLICATION news FOR TABLE public.item", "PF311", "warn", "publication news"),
        ("CREATE TABLE public.bag (what text)", "PF401", "warn", "public.bag"),
        ("CREATE TABLE public.bag (what json)", "PF402", "warn", "public.bag"),
        (ALWAYS, "PF403", "warn", "note on public.item"),
        ("UPDATE pg_extension SET extversion = '0.9' WHERE extname = 'plpgsql'", "PF209", "fail", "plpgsql 0.9"),
        (RENAMED, "PF212", "fail", "only-here"),
    ],
    ids=lambda value: value if str(value).startswith("PF") else "",
)
def test_what_is_in_the_database_is_found(keyed: Shop, statement: str, id: str, outcome: str, names: str) -> None:
    as_superuser(keyed, statement)
    findings = found(keyed.app)
    assert problems(findings) == [(id, outcome)]
    assert names in findings[id][0]["found"]
    assert findings[id][0]["remedy"]


@pytest.mark.parametrize(
    ("statement", "id", "said"),
    [
        ("CREATE TABLE public.pair (a int NOT NULL UNIQUE)", "PF401", "public.pair"),
        ("CREATE SEQUENCE public.ticket", "PF304", "1 sequence"),
        ("SELECT lo_from_bytea(0, 'x')", "PF305", "1 large object"),
        ("CREATE UNLOGGED TABLE public.scratch (id int PRIMARY KEY)", "PF306", "1 unlogged table"),
        ("CREATE MATERIALIZED VIEW public.seen AS SELECT 1", "PF307", "1 populated materialised view"),
        ("ALTER TABLE public.item ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY", "PF308", "1 of them forced"),
        ("CREATE TABLE public.day (d int PRIMARY KEY) PARTITION BY LIST (d);"
         "CREATE TABLE public.day_1 PARTITION OF public.day FOR VALUES IN (1)", "PF303", "1 partitioned table with 1"),
    ],
    ids=lambda value: value if str(value).startswith("PF") else "",
)  # fmt: skip
def test_what_a_move_can_handle_is_counted_and_passes(keyed: Shop, statement: str, id: str, said: str) -> None:
    as_superuser(keyed, statement)
    finding = one(keyed.app, id)
    assert finding["outcome"] == "pass"
    assert said in finding["found"]


def test_a_change_of_a_table_changes_the_fingerprint(keyed: Shop) -> None:
    before = one(keyed.app, "PF301")["found"]
    assert one(keyed.app, "PF301")["found"] == before
    as_superuser(keyed, "ALTER TABLE public.item ADD extra int")
    assert one(keyed.app, "PF301")["found"] != before


def test_settings_that_the_destination_does_not_know(keyed: Shop) -> None:
    with keyed.cluster(keyed.app.region).admin() as admin:
        name = sql.Identifier(keyed.app.database)
        admin.execute(sql.SQL("ALTER DATABASE {} SET work_mem = '5MB'").format(name))
        assert one(keyed.app, "PF505")["outcome"] == "pass"
        unknown, known = "{no_such_thing=1}", "{work_mem=5MB}"
        admin.execute("UPDATE pg_db_role_setting SET setconfig = %s WHERE setconfig = %s", [unknown, known])
    finding = one(keyed.app, "PF505")
    assert (finding["outcome"], "no_such_thing" in finding["found"]) == ("fail", True)


def test_a_database_that_was_sorted_by_another_version(keyed: Shop) -> None:
    with keyed.cluster(keyed.app.region).admin() as admin:
        admin.execute("UPDATE pg_database SET datcollversion = '0' WHERE datname = %s", [keyed.app.database])
    assert one(keyed.app, "PF211")["outcome"] == "warn"


def test_a_tablespace_of_its_own(keyed: Shop) -> None:
    at = keyed.cluster(keyed.app.region)
    with at.admin() as admin:
        admin.execute("SET allow_in_place_tablespaces = on")
        admin.execute("CREATE TABLESPACE fast LOCATION ''")
        try:
            as_superuser(keyed, "CREATE TABLE public.quick (id int PRIMARY KEY) TABLESPACE fast")
            finding = one(keyed.app, "PF107")
            assert (finding["outcome"], "fast" in finding["found"]) == ("warn", True)
        finally:
            as_superuser(keyed, "DROP TABLE IF EXISTS public.quick")
            admin.execute("DROP TABLESPACE fast")


def test_a_database_that_takes_no_connections(keyed: Shop) -> None:
    at = keyed.cluster(keyed.app.region)
    with at.admin() as admin:
        switch = sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS {}")
        name = sql.Identifier(keyed.app.database)
        admin.execute(switch.format(name, sql.SQL("false")))
        try:
            findings = found(keyed.app)
        finally:
            admin.execute(switch.format(name, sql.SQL("true")))
    assert problems(findings) == [("PF104", "fail")]
    assert "PF301" not in findings


# -- who is there, and what is free -----------------------------------------------------------------------------------


def test_a_long_transaction_is_named_without_its_query(keyed: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "_LONG_SECONDS", 0)
    with keyed.connect(keyed.app.region) as session, session.transaction():
        session.execute("SELECT 'a value of the app'")
        finding = one(keyed.app, "PF502")
        assert finding["outcome"] == "warn"
        assert f"pid {session.info.backend_pid} ({keyed.app.database} in {keyed.app.database}" in finding["found"]
        assert "a value of the app" not in json.dumps(finding)


def test_a_superuser_who_is_connected(keyed: Shop) -> None:
    at = keyed.cluster(keyed.app.region)
    with psycopg.connect(at.target, application_name="somebody"):
        finding = one(keyed.app, "PF503")
    assert (finding["outcome"], "The superuser" in finding["found"]) == ("warn", True)


def test_a_role_that_has_another_password_there(keyed: Shop, eu: Region) -> None:
    role, secret = sql.Identifier(keyed.app.database), "another-password-of-the-test"
    with keyed.cluster(eu).admin() as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, sql.Literal(secret)))
    findings = found(keyed.app)
    assert problems(findings) == [("PF504", "fail")]
    assert keyed.app.database in findings["PF504"][0]["found"]
    assert "SCRAM-SHA-256" not in json.dumps(findings)


@contextmanager
def slots_left(at: Cluster, left: int) -> Iterator[None]:
    """All replication slots of the cluster taken but so many."""
    names = []
    with at.admin() as admin:
        (free,) = admin.execute(
            "SELECT current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)"
        ).fetchone()  # type: ignore[misc]
        try:
            for number in range(free - left):
                names.append(f"taken_{number}")
                admin.execute("SELECT pg_create_physical_replication_slot(%s)", [names[-1]])
            yield
        finally:
            for name in names:
                admin.execute("SELECT pg_drop_replication_slot(%s)", [name])


def test_live_needs_two_slots_and_snapshot_one(keyed: Shop) -> None:
    at = keyed.cluster(keyed.app.region)
    with slots_left(at, 1):
        assert problems(found(keyed.app)) == []
        assert problems(found(keyed.app, Strategy.LIVE)) == [("PF206", "fail")]
    with slots_left(at, 0):
        assert problems(found(keyed.app)) == [("PF205", "fail")]


# -- live only --------------------------------------------------------------------------------------------------------


def test_what_makes_live_impossible_does_not_forbid_the_others(keyed: Shop, settings: LazySettings) -> None:
    settings.MOVES_LIVE_IN_BLOCK_BYTES = 100
    as_superuser(keyed, ALWAYS + "CREATE UNLOGGED TABLE public.scratch AS SELECT 1 AS n")
    impossible = [("PF403", "warn"), ("PF404", "fail"), ("PF405", "fail")]
    assert problems(found(keyed.app)) == [("PF403", "warn")]
    assert one(keyed.app, "PF404")["found"].startswith("Only live would fail: ")
    for strategy in (Strategy.LIVE, Strategy.REHEARSAL):
        assert problems(found(keyed.app, strategy)) == impossible
    assert "unlogged tables" in one(keyed.app, "PF405", Strategy.LIVE)["found"]


@pytest.mark.parametrize("harmless", HARMLESS, ids=["stable", "no statement"])
def test_a_trigger_that_cannot_write_does_not_forbid_live(keyed: Shop, harmless: str) -> None:
    as_superuser(keyed, harmless)
    assert problems(found(keyed.app, Strategy.LIVE)) == [("PF403", "warn")]


def test_servers_that_are_too_old_for_live(keyed: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "_LIVE_SINCE", 99)
    assert problems(found(keyed.app)) == []
    assert problems(found(keyed.app, Strategy.LIVE)) == [("PF203", "fail")] * 2


def test_auto_is_live_where_that_is_possible_and_says_why_not(keyed: Shop) -> None:
    row = row_of(keyed.app)
    assert choose_strategy(row)[0] == Strategy.LIVE
    assert row.strategy == Strategy.SNAPSHOT
    as_superuser(keyed, ALWAYS)
    strategy, why = choose_strategy(row)
    assert (strategy, "live is not possible: PF404" in why) == (Strategy.SNAPSHOT, True)


def test_auto_is_not_live_where_that_could_not_be_looked_at(keyed: Shop, eu: Region) -> None:
    Region.objects.filter(pk=eu.pk).update(database="host=127.0.0.1 port=1 dbname=postgres")
    strategy, why = choose_strategy(row_of(keyed.app))
    assert (strategy, "PF102" in why) == (Strategy.SNAPSHOT, True)


# -- what is away -----------------------------------------------------------------------------------------------------


def test_a_region_that_is_away_hides_nothing_of_the_other(keyed: Shop, eu: Region) -> None:
    as_superuser(keyed, "CREATE SCHEMA portal_move")
    Region.objects.filter(pk=eu.pk).update(database="host=127.0.0.1 port=1 dbname=postgres")
    row = row_of(keyed.app)
    assert problems(by_id(look(row))) == [("PF102", "fail"), ("PF302", "fail")]
    with pytest.raises(TransientError, match="eu-west-1"):
        preflight(Unwritten(row))


def test_two_regions_that_are_away_are_two_findings_with_what_to_do(keyed: Shop, us: Region, eu: Region) -> None:
    Region.objects.filter(pk__in=[us.pk, eu.pk]).update(database="host=127.0.0.1 port=1 dbname=postgres")
    findings = found(keyed.app)
    assert problems(findings) == [("PF101", "fail"), ("PF102", "fail")]
    assert "us-east-1" in findings["PF101"][0]["found"]
    assert findings["PF101"][0]["remedy"]


def test_a_region_that_takes_connections_and_never_answers(keyed: Shop, eu: Region) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        Region.objects.filter(pk=eu.pk).update(database=f"host=127.0.0.1 port={port} dbname=postgres")
        findings = found(keyed.app)
    assert problems(findings) == [("PF102", "fail")]
    assert "PF301" in findings


def test_a_login_that_is_refused_is_a_finding_and_not_tried_again(keyed: Shop, eu: Region) -> None:
    Region.objects.filter(pk=eu.pk).update(database=f"{eu.database} user=nobody_of_that_name")
    findings = by_id([vars(finding) for finding in preflight(Unwritten(row_of(keyed.app)))])
    assert problems(findings) == [("PF102", "fail")]


def test_a_check_that_takes_too_long_is_ended(keyed: Shop) -> None:
    as_superuser(keyed, "CREATE MATERIALIZED VIEW public.newest AS SELECT now()")
    with ExitStack() as stack:
        session = stack.enter_context(keyed.cluster(keyed.app.region).connect())
        stack.enter_context(session.transaction())
        session.execute("REFRESH MATERIALIZED VIEW public.newest")  # nobody else may look at it meanwhile
        findings = found(keyed.app)
    assert problems(findings) == [("PF307", "fail")]
    assert "us-east-1" in findings["PF307"][0]["found"]


# -- room -------------------------------------------------------------------------------------------------------------


def test_a_work_folder_without_room_warns_here_and_forbids_it_on_the_worker(
    keyed: Shop, settings: LazySettings, tmp_path: Path
) -> None:
    settings.MOVES_WORK_DIR = Path("/proc")  # nothing is ever free there
    row = row_of(keyed.app)
    assert problems(by_id(look(row))) == [("PF602", "warn")]
    sight = sight_of(Unwritten(row))
    assert [finding.outcome for finding in room.work_folder(replace(sight, on_worker=True))] == ["fail"]
    settings.MOVES_WORK_DIR = tmp_path / "not" / "there"
    assert list(room.work_folder(sight)) == []
    assert [finding.outcome for finding in room.work_folder(replace(sight, on_worker=True))] == ["pass"]


# -- prepared transactions --------------------------------------------------------------------------------------------


@contextmanager
def prepared(session: psycopg.Connection[Any], gid: str) -> Iterator[None]:
    session.execute("BEGIN")
    session.execute("CREATE TABLE public.to_come ()")
    session.execute(sql.SQL("PREPARE TRANSACTION {}").format(sql.Literal(gid)))
    try:
        yield
    finally:
        session.execute(sql.SQL("ROLLBACK PREPARED {}").format(sql.Literal(gid)))


def test_a_prepared_transaction_forbids_the_move_and_is_to_be_known_elsewhere(
    keyed: Shop, make_shop: Callable[..., Shop]
) -> None:
    elsewhere = make_shop(schema=KEYED)
    for shop, outcome in ((keyed, "fail"), (elsewhere, "warn")):
        with shop.cluster(shop.app.region).connect() as session, prepared(session, f"of {shop.app.slug}"):
            finding = one(keyed.app, "PF501")
        assert (finding["outcome"], f"of {shop.app.slug}" in finding["found"]) == (outcome, True)


def test_the_sessions_of_preflight_cannot_write(keyed: Shop) -> None:
    sight = sight_of(Unwritten(row_of(keyed.app)))
    for cluster in (sight.source_db, keyed.cluster(keyed.app.region)):
        with ExitStack() as stack:
            if cluster is sight.source_db:
                stack.enter_context(pytest.raises(PermanentError, match="read-only"))
            stack.enter_context(cluster.connect()).execute("CREATE TABLE public.written ()")

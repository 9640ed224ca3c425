"""What a stream does not do by itself, and what stands in its way (POSTGRES: the table of traps)."""

from __future__ import annotations

import threading
from collections.abc import Callable

import psycopg
import pytest
from django.conf import LazySettings

from migrations_app import actions
from migrations_app.dataplane.database import dump, identity, tripwire
from migrations_app.dataplane.process import no_check
from migrations_app.engine.journal import Journal
from migrations_app.errors import TransientError
from migrations_app.models import AppMigration, Region
from migrations_app.move import Move
from migrations_app.states import Status, Step, Strategy
from migrations_app.steps import (
    comparing,
    copying_runtime,
    flipping_routing,
    ready,
    restoring_data,
    setting_up_reverse_replication,
    way_in,
)
from migrations_app.verification.streaming import StreamingComparison
from tests.conftest import Shop, before, carry, fail_for_good, moved, traces
from tests.waiting import wait_until

KEYLESS = """
CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);
CREATE TABLE event (n int, what text);
CREATE TABLE named (code text NOT NULL, what text);
CREATE UNIQUE INDEX named_code ON named (code);
INSERT INTO item (name) SELECT 'item ' || n FROM generate_series(1, 500) n;
INSERT INTO event SELECT n, 'event' FROM generate_series(1, 100) n;
INSERT INTO named SELECT 'code ' || n, 'x' FROM generate_series(1, 100) n;
"""


@pytest.fixture
def slots(shop: Shop, us: Region) -> Callable[[], list[str]]:
    def names() -> list[str]:
        with shop.cluster(us).admin() as admin:
            return [
                row[0]
                for row in admin.execute(
                    "SELECT slot_name FROM pg_replication_slots WHERE database = %s", [shop.app.database]
                )
            ]

    return names


def moved_live(shop: Shop) -> AppMigration:
    return moved(shop.app, "eu-west-1", strategy=Strategy.LIVE)


def while_copying(monkeypatch: pytest.MonkeyPatch, act: Callable[[Move], object]) -> None:
    """`act` happens once the stream flows, before writes are blocked, in place of the copy of a program."""
    for name, stand_in in (("skip", lambda move: ""), ("do", act), ("undo", lambda move: None)):
        monkeypatch.setattr(copying_runtime, name, stand_in)


def test_what_is_written_while_data_is_copied_comes_too(
    make_shop: Callable[..., Shop], us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into tables with a key, with a unique index, and with neither; a TRUNCATE as well."""
    shop = make_shop(schema=KEYLESS + "CREATE TABLE emptied (n int); INSERT INTO emptied VALUES (1)")

    def write(move: Move) -> None:
        with shop.connect(us) as app:
            app.execute("UPDATE item SET name = 'changed' WHERE id = 1; DELETE FROM item WHERE id = 2")
            app.execute("UPDATE event SET what = 'changed' WHERE n = 1; DELETE FROM event WHERE n = 2")
            app.execute("UPDATE named SET what = 'changed' WHERE code = 'code 1'; TRUNCATE emptied")
            app.execute("INSERT INTO item (name) VALUES ('new')")

    while_copying(monkeypatch, write)
    move = moved_live(shop)
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert shop.sql(eu, "SELECT id, name FROM item WHERE id IN (1, 2, 501) ORDER BY id") == [
        (1, "changed"),
        (501, "new"),
    ]
    assert shop.sql(eu, "SELECT n, what FROM event WHERE n IN (1, 2)") == [(1, "changed")]
    assert shop.sql(eu, "SELECT what FROM named WHERE code = 'code 1'") == [("changed",)]
    assert shop.sql(eu, "SELECT count(*) FROM emptied") == [(0,)]
    assert shop.sql(eu, "SELECT nextval(pg_get_serial_sequence('item', 'id'))") == [(502,)]


def test_no_update_fails_in_production_for_want_of_an_identity_and_an_abort_puts_it_back(
    make_shop: Callable[..., Shop], us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(schema=KEYLESS)
    kinds = "SELECT relname, relreplident FROM pg_class WHERE relname IN ('event', 'named') ORDER BY 1"

    def write_and_abort(move: Move) -> None:
        assert shop.sql(us, kinds) == [("event", "f"), ("named", "i")]
        with shop.connect(us) as app:
            app.execute("UPDATE event SET what = 'changed'; UPDATE named SET what = 'changed'")
        actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")

    before(monkeypatch, restoring_data, write_and_abort)
    assert moved_live(shop).status == Status.ABORTED
    assert shop.sql(us, kinds) == [("event", "d"), ("named", "d")]
    assert traces(shop, us) == []


def test_nobody_waits_long_behind_our_own_locks(shop: Shop, us: Region) -> None:
    """ALTER TABLE behind a long query would make everybody wait behind it."""
    given = threading.Event()

    def give() -> None:
        identity.give_identity(shop.cluster(us), [["public", "event", "d", ""]], check=no_check)
        given.set()

    with shop.connect(us) as reader:
        reader.execute("BEGIN; SELECT count(*) FROM event")
        thread = threading.Thread(target=give)
        thread.start()
        with shop.connect(us) as app:
            app.execute("SET statement_timeout = '3s'")
            for _ in range(20):
                app.execute("SELECT count(*) FROM event")
        assert not given.is_set()
        reader.execute("COMMIT")
        thread.join(30)
    assert given.is_set()


def test_a_slot_that_waits_for_a_long_transaction_says_for_whom(shop: Shop, us: Region, settings: LazySettings) -> None:
    settings.MOVES_SLOT_SECONDS, settings.MOVES_STEP_TRIES = 0.5, 1
    with shop.connect(us) as writer:
        writer.execute("BEGIN; INSERT INTO item (name) VALUES ('long')")
        move = moved_live(shop)
        assert (move.status, move.last_error_code, move.writes_blocked_at) == (Status.FAILED, "slot_waits", None)
        assert f"process {writer.info.backend_pid} of {shop.app.database}" in move.last_error
        writer.execute("COMMIT")
    assert traces(shop, us) == []


def test_a_snapshot_that_is_gone_begins_slot_and_dump_anew_and_nothing_else(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    settings.MOVES_BACKOFF_MAX_SECONDS = 0.1
    real = dump.dump
    ended: list[object] = []

    def end_the_session_first(source: object, *args: object, **kwargs: object) -> int:
        if not ended:
            with shop.cluster(us).admin() as admin:
                ended.extend(
                    admin.execute(
                        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                        "WHERE datname = %s AND backend_type = 'walsender'",
                        [shop.app.database],
                    ).fetchall()
                )
        return real(source, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(dump, "dump", end_the_session_first)
    move = moved_live(shop)
    assert (move.status, len(ended)) == (Status.COMPLETED, 1)
    tries = {run.step: run.attempt for run in move.step_runs.order_by("id")}
    assert {step for step, attempt in tries.items() if attempt > 1} == {Step.DUMPING_DATA}
    assert shop.sql(eu, "SELECT count(*) FROM item") == [(500,)]


def test_a_runner_that_dies_behind_the_restore_restores_nothing_again(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    """What has streamed in would come a second time."""
    settings.MOVES_BACKOFF_MAX_SECONDS = 0.1
    real = way_in.catch_up
    calls: list[Move] = []
    made: list[object] = []

    def fail_once(move: Move) -> None:
        if not calls:
            shop.sql(us, "INSERT INTO item (name) VALUES ('streamed')")
            wait_until(lambda: shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'streamed'") == [(1,)])
        calls.append(move)
        made.append(shop.sql(eu, "SELECT oid FROM pg_subscription WHERE subname = %s", move.name))
        if len(calls) == 1:
            raise TransientError("The test says so.")
        real(move)

    monkeypatch.setattr(way_in, "catch_up", fail_once)
    move = moved_live(shop)
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'streamed'") == [(1,)]
    assert all(subscription == made[0] for subscription in made)
    restored = [run for run in move.step_runs.filter(step=Step.RESTORING_DATA) if "Restored" in str(run.acts)]
    assert len(restored) == 1


def test_a_stream_that_falls_behind_is_told_with_figures_and_blocks_nothing(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    settings.MOVES_LIVE_LAG_BYTES, settings.MOVES_LIVE_CATCH_UP_SECONDS = 10_000, 1
    blocker = shop.cluster(eu).connect()

    def fall_behind(move: Move) -> None:
        connection = blocker.__enter__()
        connection.execute("BEGIN; LOCK TABLE public.item IN ACCESS EXCLUSIVE MODE")
        shop.sql(us, "INSERT INTO item (name) SELECT repeat('x', 1000) FROM generate_series(1, 200)")

    while_copying(monkeypatch, fall_behind)
    move = moved_live(shop)
    blocker.__exit__(None, None, None)
    assert (move.status, move.last_error_code, move.writes_blocked_at) == (Status.FAILED, "lag_stays", None)
    assert "were written (" in move.last_error
    assert "/s) and 0 bytes applied" in move.last_error
    assert traces(shop, us) == traces(shop, eu) == []


def test_a_changed_schema_stops_the_move_by_name(shop: Shop, us: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    for statement, table in (
        ("ALTER TABLE item ADD COLUMN colour text DEFAULT 'red'", "public.item"),
        ("CREATE TABLE late (n int PRIMARY KEY)", "public.late"),
    ):
        while_copying(monkeypatch, lambda move, statement=statement: shop.sql(us, statement))  # type: ignore[misc]
        move = moved_live(shop)
        assert (move.status, move.last_error_code, move.writes_blocked_at) == (Status.FAILED, "schema_changed", None)
        assert table in move.last_error


def test_a_slot_that_is_gone_ends_the_move_before_anything_is_blocked(
    shop: Shop, us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    while_copying(monkeypatch, lambda move: tripwire.drop_slot(move.source_db, move.name, check=no_check))
    move = moved_live(shop)
    assert (move.status, move.last_error_code, move.writes_blocked_at) == (Status.FAILED, "slot_missing", None)


def test_wal_that_piles_up_ends_the_move_before_the_disk_is_full(
    shop: Shop, us: Region, slots: Callable[[], list[str]], settings: LazySettings
) -> None:
    settings.MOVES_REPLICA_WAL_BYTES = 1
    move = moved_live(shop)
    assert (move.status, move.last_error_code) == (Status.FAILED, "wal_piles_up")
    assert slots() == []


def test_what_a_stubborn_session_writes_behind_the_fence_is_drained(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(move: Move) -> None:
        with shop.connect(us) as app:
            app.execute("SET default_transaction_read_only = off")
            app.execute("INSERT INTO item (name) VALUES ('forced')")

    before(monkeypatch, flipping_routing, write)
    move = moved_live(shop)
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'forced'") == [(1,)]


def test_who_writes_at_the_destination_beside_the_stream_stops_the_move(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(move: Move) -> None:
        with shop.connect(eu) as app:
            app.execute("SET default_transaction_read_only = off")
            app.execute("UPDATE item SET name = 'stray' WHERE id = 3")

    while_copying(monkeypatch, write)
    move = moved_live(shop)
    assert (move.status, move.last_error_code, move.writes_blocked_at) == (
        Status.FAILED,
        "written_at_destination",
        None,
    )


def test_the_block_waits_for_a_long_writer_before_it_begins(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ready, "_WRITER_SECONDS", 0.0)
    writer: list[psycopg.Connection[object]] = []
    blocked = []

    def begin(move: Move) -> None:
        writer.append(shop.connect(us))
        writer[0].execute("BEGIN; INSERT INTO item (name) VALUES ('long')")
        threading.Timer(1.0, lambda: writer[0].execute("COMMIT")).start()

    real = Journal.stamp

    def stamp(journal: Journal, field: str) -> None:
        if field == "writes_blocked_at":
            blocked.append(writer[0].info.transaction_status)
        real(journal, field)

    while_copying(monkeypatch, begin)
    monkeypatch.setattr(Journal, "stamp", stamp)
    move = moved_live(shop)
    assert (move.status, blocked) == (Status.COMPLETED, [psycopg.pq.TransactionStatus.IDLE])
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'long'") == [(1,)]


def test_what_is_written_by_force_behind_the_last_comparison_comes_too_and_is_compared(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle, held_up = comparing.settle, threading.Event()

    def hold_it_up() -> None:
        with shop.cluster(eu).connect() as blocker, blocker.transaction():
            blocker.execute("LOCK TABLE public.item IN EXCLUSIVE MODE")
            held_up.set()
            threading.Event().wait(1.0)  # the row comes later than everything that does not wait for it

    def settle_then_write(move: Move, comparison: StreamingComparison) -> None:
        settle(move, comparison)
        threading.Thread(target=hold_it_up).start()
        held_up.wait(10)
        with shop.connect(us) as app:
            app.execute("SET default_transaction_read_only = off")
            app.execute("INSERT INTO item (name) VALUES ('by force')")

    monkeypatch.setattr(comparing, "settle", settle_then_write)
    move = moved_live(shop)
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert move.verification
    assert move.verification["rows_in_block"] > 0
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'by force'") == [(1,)]


def test_a_row_that_is_not_the_same_is_found_before_anything_is_blocked(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Written at the destination as the stream does it: no slot tells of it."""
    real = comparing.compare_while_it_streams

    def damage(move: Move) -> None:
        wait_until(lambda: shop.sql(eu, "SELECT count(*) FROM item") == [(500,)])
        shop.sql(
            eu,
            "SELECT pg_replication_origin_create('damage'); SELECT pg_replication_origin_session_setup('damage');"
            "UPDATE item SET name = 'item 3?' WHERE id = 3; SELECT pg_replication_origin_session_reset();"
            "SELECT pg_replication_origin_drop('damage')",
        )
        real(move)

    monkeypatch.setattr(comparing, "compare_while_it_streams", damage)
    move = moved_live(shop)
    assert (move.status, move.last_error_code, move.writes_blocked_at) == (Status.FAILED, "sides_differ", None)
    assert "item" in move.last_error
    assert traces(shop, us) == traces(shop, eu) == []


def test_there_is_no_pivot_without_a_young_comparison(
    shop: Shop, us: Region, monkeypatch: pytest.MonkeyPatch, settings: LazySettings
) -> None:
    real = Journal.keep_report
    reports: list[dict[str, object]] = [{"equal": True, "at": "2020-01-01T00:00:00+00:00"}, {"equal": False}]
    for report in reports:

        def forget(journal: Journal, found: dict[str, object], report: dict[str, object] = report) -> None:
            real(journal, report)

        with monkeypatch.context() as patched:
            patched.setattr(Journal, "keep_report", forget)
            move = moved_live(shop)
        assert (move.status, move.last_error_code, move.app.region) == (Status.FAILED, "not_verified", us)


def test_who_goes_back_past_the_pivot_can_update_tables_without_a_key_at_once(
    make_shop: Callable[..., Shop], us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = make_shop(schema=KEYLESS)
    real, updated = way_in.unpublish, []

    def update_first(move: Move) -> None:
        with shop.connect(us) as app:
            updated.append(app.execute("UPDATE event SET what = 'changed' WHERE n = 1").rowcount)
        real(move)

    with monkeypatch.context() as patched:
        patched.setattr(setting_up_reverse_replication, "_prove", fail_for_good)
        move = moved_live(shop)
    assert (move.status, move.app.region.slug) == (Status.HELD, "eu-west-1")
    monkeypatch.setattr(way_in, "unpublish", update_first)
    back = carry(actions.reverse(move_id=move.pk, acting_user=None, reason="a test"))
    assert (back.pk, back.status, back.app.region, updated) == (move.pk, Status.ABORTED, us, [1])
    assert traces(shop, us) == []

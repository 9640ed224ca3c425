"""A move of a database, its reverse and its teardown, on real clusters."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.conf import LazySettings

from migrations_app import actions, queries
from migrations_app.dataplane.database import fence, leftovers, proof, tripwire
from migrations_app.dataplane.process import no_check
from migrations_app.errors import PermanentError, TransientError
from migrations_app.models import Region, SourceReplica
from migrations_app.move import Move
from migrations_app.states import ReplicaState, RunStatus, Status, Step
from migrations_app.steps import flipping_routing, restoring_data, unblocking_writes
from tests.conftest import Shop, carry, moved, reversed_, torn_down

Regions = dict[str, Region]


@pytest.fixture
def us(regions: Regions) -> Region:
    return regions["us-east-1"]


@pytest.fixture
def eu(regions: Regions) -> Region:
    return regions["eu-west-1"]


def test_the_app_comes_up_in_the_other_region(shop: Shop, us: Region, eu: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert move.app.region == eu
    assert shop.sql(eu, "SELECT count(*), max(id) FROM item") == [(500, 500)]
    assert shop.sql(eu, "SELECT n FROM item_count") == [(500,)]
    assert shop.sql(eu, "SELECT n FROM scratch") == [(1,)]
    assert shop.sql(eu, "SELECT convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata") == [
        ("a large object",)
    ]
    with shop.connect(eu) as app:  # the same password
        assert app.execute("INSERT INTO item (name) VALUES ('new') RETURNING id").fetchone() == (501,)
        assert app.execute("SELECT nextval('ticket')").fetchone() == (2,)
    replica = SourceReplica.objects.get()
    assert (replica.migration, replica.region, replica.state) == (move, us, ReplicaState.RETAINED)
    assert replica.size_bytes > 0


def test_every_step_is_recorded_and_what_has_nothing_to_do_says_why(shop: Shop) -> None:
    steps = queries.steps_of(moved(shop.app, "eu-west-1"))
    assert [step["step"] for step in steps] == [str(step) for step in Step]
    assert {step["step"]: step["reason"] for step in steps if step["skipped"]} == {
        "copying_blobs": "The app has no blobs.",
        "copying_runtime": "The app has no runtime.",
    }
    assert all(step["state"] in (RunStatus.DONE, RunStatus.SKIPPED) for step in steps)
    assert all(step["acts"] for step in steps if not step["skipped"])


def test_the_old_region_is_shut_and_kept_current(shop: Shop, us: Region, eu: Region) -> None:
    moved(shop.app, "eu-west-1")
    with pytest.raises(psycopg.OperationalError, match="CONNECT"):
        shop.connect(us)
    shop.sql(
        eu, "INSERT INTO item (name) VALUES ('later'); UPDATE event SET what = 'changed'; DELETE FROM item WHERE id < 9"
    )
    wait_until(lambda: shop.sql(us, "SELECT count(*), max(id) FROM item") == [(493, 501)])
    assert shop.sql(us, "SELECT what FROM event") == [("changed",)]


def test_a_reverse_brings_back_what_was_written_since(shop: Shop, us: Region, eu: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    shop.sql(eu, "INSERT INTO item (name) SELECT 'later' FROM generate_series(1, 50); DELETE FROM event")
    shop.sql(eu, "INSERT INTO scratch VALUES (2); SELECT nextval('ticket'), lo_from_bytea(0, 'another')")
    back = reversed_(move)
    assert (back.status, back.last_error, back.app.region) == (Status.COMPLETED, "", us)
    with shop.connect(us) as app:
        assert app.execute("SELECT count(*) FROM item").fetchone() == (550,)
        assert app.execute("INSERT INTO item (name) VALUES ('home') RETURNING id").fetchone() == (551,)
        assert app.execute("SELECT nextval('ticket')").fetchone() == (3,)
        assert app.execute("SELECT count(*) FROM event").fetchone() == (0,)
        assert app.execute("SELECT n FROM scratch ORDER BY n").fetchall() == [(1,), (2,)]
        assert app.execute("SELECT n FROM item_count").fetchone() == (550,)
    assert shop.sql(us, "SELECT count(*) FROM pg_largeobject_metadata") == [(2,)]
    with pytest.raises(psycopg.OperationalError, match="CONNECT"):
        shop.connect(eu)
    assert SourceReplica.objects.get(migration=move).state == ReplicaState.REVERSED
    assert SourceReplica.objects.get(migration=back).state == ReplicaState.RETAINED


def test_one_may_go_forward_again_after_a_reverse(shop: Shop, eu: Region) -> None:
    again = reversed_(reversed_(moved(shop.app, "eu-west-1")))
    assert (again.status, again.app.region) == (Status.COMPLETED, eu)
    with shop.connect(eu) as app:
        app.execute("INSERT INTO item (name) VALUES ('forth, back and forth')")


def test_a_reverse_waits_for_a_replica_that_lags(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = moved(shop.app, "eu-west-1")
    with shop.cluster(us).connect() as blocker:

        def lag(move: Move) -> None:
            blocker.execute("BEGIN; SELECT 1 FROM public.item WHERE id = 7 FOR UPDATE")
            shop.sql(eu, "UPDATE item SET name = 'late' WHERE id = 7")
            threading.Timer(1.5, blocker.execute, ["COMMIT"]).start()

        before(monkeypatch, flipping_routing, lag)
        back = reversed_(move)
    assert (back.status, back.last_error) == (Status.COMPLETED, "")
    assert shop.sql(us, "SELECT name FROM item WHERE id = 7") == [("late",)]


def test_a_reverse_that_finds_the_replica_behind_blocks_nothing_and_leaves_it_streaming(
    shop: Shop, us: Region, eu: Region, settings: LazySettings
) -> None:
    settings.MOVES_DRAIN_SECONDS, settings.MOVES_STEP_TRIES = 0.5, 1
    move = moved(shop.app, "eu-west-1")
    with shop.cluster(us).connect() as blocker:
        blocker.execute("BEGIN; SELECT 1 FROM public.item WHERE id = 7 FOR UPDATE")
        shop.sql(eu, "UPDATE item SET name = 'late' WHERE id = 7")
        back = reversed_(move)
        assert (back.status, back.last_error_code, back.writes_blocked_at) == (Status.FAILED, "stream_stuck", None)
        blocker.execute("COMMIT")
    shop.sql(eu, "INSERT INTO item (name) VALUES ('later')")
    wait_until(lambda: shop.sql(us, "SELECT count(*) FROM item WHERE name IN ('late', 'later')") == [(2,)])
    settings.MOVES_DRAIN_SECONDS = 30
    assert reversed_(move).status == Status.COMPLETED


def test_writes_come_back_even_if_the_replicas_region_is_gone(
    shop: Shop, us: Region, eu: Region, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MOVES_STEP_TRIES = 1
    move = moved(shop.app, "eu-west-1")
    monkeypatch.setattr(flipping_routing, "_bring_up_to_date", fail_for_good)
    monkeypatch.setattr(fence, "shut", fail_for_good)
    back = reversed_(move)
    assert (back.status, back.last_error) == (Status.HELD, "the cause")
    with shop.connect(eu) as app:
        app.execute("INSERT INTO item (name) VALUES ('served where it was')")


def test_a_way_back_that_cannot_be_set_up_is_found_before_anything_is_blocked(
    shop: Shop, us: Region, eu: Region, settings: LazySettings
) -> None:
    settings.MOVES_STEP_TRIES = 1
    Region.objects.filter(pk=eu.pk).update(conn_from_regions="host=127.0.0.1 port=1 dbname=postgres")
    move = moved(shop.app, "eu-west-1")
    assert (move.status, move.current_step, move.writes_blocked_at) == (Status.FAILED, Step.RESERVING_DEST, None)
    assert traces(shop, eu) == []


def test_a_schema_changed_since_the_cutover_refuses_the_reverse_and_is_named(shop: Shop, eu: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    shop.sql(eu, "ALTER TABLE event ADD COLUMN who text")
    back = reversed_(move)
    assert (back.status, back.app.region, back.last_error_code) == (Status.FAILED, eu, "sides_differ")
    assert any("event" in difference["name"] for difference in queries.differences_found(back))
    with shop.connect(eu) as app:
        app.execute("INSERT INTO event (who) VALUES ('me')")


def test_lifting_the_fence_ends_nobody_who_came_after(shop: Shop, us: Region) -> None:
    stop = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not stop.is_set():
            with shop.connect(us) as app:
                app.execute("INSERT INTO item (name) VALUES ('busy')")
                written.append(1)

    at = shop.cluster(us)
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write) for _ in range(4)]
        wait_until(lambda: len(written) > 20)
        fence.end_read_only_sessions(at, grace_seconds=1, check=no_check)
        before_end = len(written)
        wait_until(lambda: len(written) > before_end + 20)
        stop.set()
    ended = [writer.exception() for writer in writers]
    assert sum(error is not None for error in ended) <= 1  # the one that was there before, at most


def test_a_teardown_frees_the_old_region_and_gives_the_way_back_up(shop: Shop, us: Region, eu: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    replica = torn_down(move)
    assert (replica.state, replica.last_error) == (ReplicaState.TORN_DOWN, "")
    assert not shop.cluster(us).exists()
    assert traces(shop, us) == traces(shop, eu) == []
    assert shop.sql(eu, "SELECT relreplident FROM pg_class WHERE oid = 'event'::regclass") == [("d",)]
    shop.sql(eu, "UPDATE event SET what = 'life goes on'")
    assert moved(shop.app, "us-east-1").status == Status.COMPLETED


def test_a_sequence_moved_on_behind_the_fence_is_copied_again(
    shop: Shop, eu: Region, us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = flipping_routing._verify

    def verify_then_draw(move: Move) -> None:
        verify(move)
        shop.sql(us, "SELECT nextval('ticket')")

    monkeypatch.setattr(flipping_routing, "_verify", verify_then_draw)
    assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
    assert shop.sql(eu, "SELECT last_value FROM ticket") == [(2,)]


# -- the fence --------------------------------------------------------------------------------------------------------


def test_nobody_can_write_while_the_data_is_copied(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_session = shop.connect(us)
    seen: list[str] = []

    def look(move: Move) -> None:
        with pytest.raises(psycopg.OperationalError):  # it was ended
            old_session.execute("INSERT INTO item (name) VALUES ('through an old session')")
        for region in (us, eu):
            with shop.connect(region) as app, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                app.execute("INSERT INTO item (name) VALUES ('through a new session')")
            seen.append(region.slug)

    before(monkeypatch, flipping_routing, look)
    assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
    assert seen == ["us-east-1", "eu-west-1"]


def test_an_open_transaction_is_waited_for_and_its_write_is_moved(shop: Shop, us: Region, eu: Region) -> None:
    with shop.connect(us) as app:
        app.execute("BEGIN; INSERT INTO item (name) VALUES ('in time')")
        commit = threading.Timer(1, app.execute, ["COMMIT"])
        commit.start()
        assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
        commit.join()
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'in time'") == [(1,)]


def test_a_transaction_that_does_not_end_is_ended(shop: Shop, us: Region, eu: Region, settings: LazySettings) -> None:
    settings.MOVES_WRITER_GRACE_SECONDS = 0.5
    with shop.connect(us) as app:
        app.execute("BEGIN; INSERT INTO item (name) VALUES ('too late')")
        assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
        with pytest.raises(psycopg.OperationalError):
            app.execute("COMMIT")
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'too late'") == [(0,)]


def test_a_write_by_force_behind_the_fence_fails_the_move_and_is_not_lost(
    shop: Shop, us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    def force(move: Move) -> None:
        with shop.connect(us) as app:
            app.execute("SET default_transaction_read_only = off")
            app.execute("INSERT INTO item (name) VALUES ('by force')")

    before(monkeypatch, restoring_data, force)
    move = moved(shop.app, "eu-west-1")
    assert (move.status, move.app.region) == (Status.FAILED, us)
    assert shop.sql(us, "SELECT count(*) FROM item WHERE name = 'by force'") == [(1,)]


def test_a_write_by_force_after_the_comparison_trips_the_wire(
    shop: Shop, us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = flipping_routing._verify

    def verify_then_write(move: Move) -> None:
        verify(move)
        with shop.connect(us) as app:
            app.execute("SET default_transaction_read_only = off")
            app.execute("INSERT INTO item (name) VALUES ('by force')")

    monkeypatch.setattr(flipping_routing, "_verify", verify_then_write)
    move = moved(shop.app, "eu-west-1")
    assert (move.status, move.last_error_code, move.app.region) == (Status.FAILED, "written_behind_fence", us)
    assert "INSERT" in move.last_error
    assert "secret" not in move.last_error


def test_sessions_from_under_the_fence_do_not_stay_read_only(
    shop: Shop, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[psycopg.Connection] = []
    before(monkeypatch, unblocking_writes, lambda move: sessions.append(shop.connect(eu)))
    assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
    with pytest.raises(psycopg.OperationalError):  # ended, so that the app's pool opens one that may write
        sessions[0].execute("SELECT 1")


def test_a_flag_of_the_apps_own_survives_the_fence(shop: Shop, us: Region, eu: Region) -> None:
    name = shop.app.database
    with shop.cluster(us).admin() as admin:
        admin.execute(f"ALTER ROLE {name} IN DATABASE {name} SET default_transaction_read_only = off")
    assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
    with shop.cluster(eu).admin() as admin:
        query = (
            "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = %s"
        )
        assert admin.execute(query, [name]).fetchall() == [(["default_transaction_read_only=off"],)]


# -- reverse replication ----------------------------------------------------------------------------------------------


def test_the_stream_copies_no_row_twice(shop: Shop, us: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    wait = "SELECT count(*) FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = srsubid WHERE subname = %s"
    with shop.cluster(us).connect() as replica:
        states = replica.execute(f"{wait} AND srsubstate <> 'r'", [move.name_in_regions]).fetchone()
        errors = replica.execute(
            "SELECT apply_error_count, sync_error_count FROM pg_stat_subscription_stats WHERE subname = %s",
            [move.name_in_regions],
        ).fetchone()
    assert (states, errors) == ((0,), (0, 0))
    assert shop.sql(us, "SELECT count(*) FROM item") == [(500,)]


def test_nothing_of_the_proof_stays(shop: Shop, us: Region, eu: Region) -> None:
    moved(shop.app, "eu-west-1")
    for region in (us, eu):
        assert shop.sql(region, "SELECT 1 FROM pg_namespace WHERE nspname = %s", proof.SENTINEL_SCHEMA) == []


def test_a_drain_is_not_done_before_the_row_has_arrived(shop: Shop, us: Region, eu: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    proof.lay_sentinel(shop.cluster(eu), shop.cluster(us), move.name_in_regions)
    with shop.cluster(us).connect() as blocker:
        blocker.execute("BEGIN; LOCK TABLE public.item IN ACCESS EXCLUSIVE MODE")
        shop.sql(eu, "INSERT INTO item (name) VALUES ('late')")
        with pytest.raises(TransientError, match="did not reach"):
            proof.drain(
                shop.cluster(eu),
                shop.cluster(us),
                move.name_in_regions,
                proof.position(shop.cluster(eu)),
                deadline_seconds=0.7,
                check=no_check,
            )


def test_the_tripwire_sees_rows_and_nothing_else(shop: Shop, us: Region) -> None:
    at = shop.cluster(us)
    tripwire.create(at, "portal_test_wire", patience_seconds=30)
    try:
        shop.sql(us, "ANALYZE item")
        assert tripwire.changes(at, "portal_test_wire") == []
        shop.sql(us, "DELETE FROM item WHERE id = 1")
        assert tripwire.changes(at, "portal_test_wire") == ["table public.item: DELETE"]
    finally:
        tripwire.drop_slot(at, "portal_test_wire", check=no_check)


def test_sequences_are_copied_with_what_they_say_next(shop: Shop, us: Region, eu: Region) -> None:
    moved(shop.app, "eu-west-1")
    shop.sql(eu, "CREATE SEQUENCE fresh")
    shop.sql(us, "CREATE SEQUENCE fresh; SELECT setval('fresh', 42, false)")
    leftovers.copy_sequences(shop.cluster(us), shop.cluster(eu))
    assert shop.sql(eu, "SELECT nextval('fresh')") == [(42,)]


# -- the pivot --------------------------------------------------------------------------------------------------------


def test_an_abort_that_comes_before_the_pivot_wins(shop: Shop, us: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    check_fence = flipping_routing._check_fence_held

    def abort_then_check(move: Move) -> None:
        check_fence(move)
        actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")

    monkeypatch.setattr(flipping_routing, "_check_fence_held", abort_then_check)
    move = moved(shop.app, "eu-west-1")
    assert (move.status, move.pivot_at, move.app.region) == (Status.ABORTED, None, us)
    with shop.connect(us) as app:
        app.execute("INSERT INTO item (name) VALUES ('writable again')")


def test_past_the_pivot_a_failure_is_held_and_retry_goes_on(
    shop: Shop, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(proof, "prove_stream", fail_for_good)
        move = moved(shop.app, "eu-west-1")
    assert (move.status, move.current_step) == (Status.HELD, Step.SETTING_UP_REVERSE_REPLICATION)
    assert (move.last_error, move.app.region) == ("the cause", eu)
    assert queries.active_move(shop.app.slug, viewer=None) == move
    actions.retry(move_id=move.pk, acting_user=None, reason="a test")
    assert carry(move).status == Status.COMPLETED


def test_the_report_of_the_comparison_is_kept(shop: Shop) -> None:
    report = moved(shop.app, "eu-west-1").verification
    assert report is not None
    assert (report["equal"], report["rows"]) == (True, 502)
    tables = {finding["name"] for finding in report["findings"] if finding["kind"] == "table"}
    assert tables == {"public.item", "public.event", "public.scratch"}


def test_a_passing_failure_is_tried_again_and_counted(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    do, tries = restoring_data.do, []

    def fail_once(move: Move) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise TransientError("a hiccup")
        do(move)

    monkeypatch.setattr(restoring_data, "do", fail_once)
    move = moved(shop.app, "eu-west-1")
    assert move.status == Status.COMPLETED
    runs = move.step_runs.filter(step=Step.RESTORING_DATA)
    assert [(run.attempt, run.status, run.reason) for run in runs] == [(1, "failed", "a hiccup"), (2, "done", "")]


def traces(shop: Shop, region: Region) -> list[object]:
    """What moves leave in a cluster besides the app itself."""
    with shop.cluster(region).admin() as admin:
        return admin.execute(
            "SELECT slot_name::text FROM pg_replication_slots WHERE database = %(db)s "
            "UNION ALL SELECT rolname FROM pg_roles WHERE rolname ~ '^portal_' "
            "UNION ALL SELECT subname FROM pg_subscription JOIN pg_database ON pg_database.oid = subdbid "
            "WHERE datname = %(db)s",
            {"db": shop.app.database},
        ).fetchall()


def before(monkeypatch: pytest.MonkeyPatch, step: object, act: Callable[[Move], object]) -> None:
    """Let `act` happen just before the step does its work."""
    do = step.do  # type: ignore[attr-defined]

    def act_then_do(move: Move) -> None:
        act(move)
        do(move)

    monkeypatch.setattr(step, "do", act_then_do)


def fail_for_good(*args: object, **kwargs: object) -> float:
    raise PermanentError("the cause")


def wait_until(reached: Callable[[], bool], seconds: float = 20) -> None:
    give_up_at = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < give_up_at, "it did not happen"
        time.sleep(0.02)

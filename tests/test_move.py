"""A move of a database, its reverse and its teardown, on real clusters."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from django.conf import LazySettings

from migrations_app import actions, bell, jobs, published, queries
from migrations_app.dataplane.database import leftovers, proof
from migrations_app.errors import PermanentError, TransientError
from migrations_app.models import Region, SourceReplica
from migrations_app.move import Move
from migrations_app.states import ReplicaState, RunStatus, Status, Step
from migrations_app.steps import STEPS, flipping_routing, restoring_data
from tests.conftest import Shop, before, carry, fail_for_good, moved, reversed_, torn_down, traces
from tests.waiting import wait_until


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
    steps = published.steps_of(moved(shop.app, "eu-west-1"))
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


def test_a_schema_changed_since_the_cutover_refuses_the_reverse_and_is_named(shop: Shop, eu: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    shop.sql(eu, "ALTER TABLE event ADD COLUMN who text")
    back = reversed_(move)
    assert (back.status, back.app.region, back.last_error_code) == (Status.FAILED, eu, "sides_differ")
    assert any("event" in difference["name"] for difference in published.differences_found(back))
    with shop.connect(eu) as app:
        app.execute("INSERT INTO event (who) VALUES ('me')")


def test_a_teardown_frees_the_old_region_and_gives_the_way_back_up(shop: Shop, us: Region, eu: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    replica = torn_down(move)
    assert (replica.state, replica.last_error) == (ReplicaState.TORN_DOWN, "")
    assert not shop.cluster(us).exists()
    assert traces(shop, us) == traces(shop, eu) == []
    assert shop.sql(eu, "SELECT relreplident FROM pg_class WHERE oid = 'event'::regclass") == [("d",)]
    shop.sql(eu, "UPDATE event SET what = 'life goes on'")
    assert moved(shop.app, "us-east-1").status == Status.COMPLETED


def test_a_dump_on_another_machine_is_deleted_by_its_own_workers(
    shop: Shop, settings: LazySettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = moved(shop.app, "eu-west-1")
    there, dump = settings.MOVES_WORK_DIR, settings.MOVES_WORK_DIR / str(move.pk)
    jobs.forget_dump(str(move.pk))
    assert dump.exists(), "it can still be reversed"
    rung: list[tuple[str, object, str]] = []
    monkeypatch.setattr(bell, "ring", lambda *job: rung.append(job))
    settings.MOVES_WORK_DIR = tmp_path
    torn_down(move)
    assert dump.exists()
    assert (bell.FORGET_DUMP, move.pk, "eu-west-1") in rung
    settings.MOVES_WORK_DIR = there
    jobs.forget_dump(str(move.pk))
    assert not dump.exists()


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


def test_a_database_whose_drop_was_interrupted_is_dropped(
    shop: Shop, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a full disk, say. Nobody can enter it any more."""

    def leave_it_half_dropped(move: Move) -> None:
        with move.dest_db.admin() as admin:
            admin.execute("UPDATE pg_database SET datconnlimit = -2 WHERE datname = %s", [move.dest_db.dbname])
        raise PermanentError("the cause")

    before(monkeypatch, STEPS[Step.FLIPPING_ROUTING], leave_it_half_dropped)
    failed = moved(shop.app, "eu-west-1")
    assert (failed.status, failed.last_error) == (Status.FAILED, "the cause")
    assert not shop.cluster(eu).exists()
    assert traces(shop, eu) == []

"""Leases, fencing tokens, dead runners and deadlines, without a region: steps are stand-ins that say what they did."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.db.models import F
from django.db.models.functions import Now

from migrations_app import actions, published, queries
from migrations_app.engine import executor
from migrations_app.engine.executor import run_move
from migrations_app.engine.journal import Journal
from migrations_app.engine.lease import claim
from migrations_app.engine.plan import PIVOT, SNAPSHOT
from migrations_app.engine.reconciler import abort_overdue
from migrations_app.errors import AbortRequested, LeaseLost, PermanentError, TransientError
from migrations_app.models import App, AppMigration, AuditEvent, Region, SourceReplica
from migrations_app.move import Move
from migrations_app.states import WORKED, Direction, RunStatus, Status, Step

pytestmark = pytest.mark.django_db(transaction=True)

Act = Callable[[Move], None]


class StandIn:
    """A step that notes what it was told to do; `on_do` and `on_undo` may be replaced."""

    def __init__(self, step: Step, done: list[str]) -> None:
        self.step, self.done = step, done
        self.on_do: Act = lambda move: move.pass_pivot() if step == PIVOT else None
        self.on_undo: Act = lambda move: None

    def skip(self, move: Move) -> str:
        return ""

    def do(self, move: Move) -> None:
        self.done.append(f"do {self.step}")
        self.on_do(move)

    def undo(self, move: Move) -> None:
        self.done.append(f"undo {self.step}")
        self.on_undo(move)


@pytest.fixture
def done() -> list[str]:
    return []


@pytest.fixture
def steps(done: list[str], monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> dict[Step, StandIn]:
    steps = {step: StandIn(step, done) for step in Step}
    monkeypatch.setattr(executor, "STEPS", steps)
    settings.MOVES_BACKOFF_MAX_SECONDS = 0.01
    return steps


@pytest.fixture
def move(steps: dict[Step, StandIn]) -> AppMigration:
    us = Region.objects.create(slug="us", database="host=us")
    Region.objects.create(slug="eu", database="host=eu")
    App.objects.create(slug="shop", database="shop", region=us)
    return actions.request_move(app_slug="shop", dest_slug="eu", acting_user=None, reason="a test")


def fail(error: Exception, times: int = 10**6) -> Act:
    left: Iterator[int] = iter(range(times))

    def act(move: Move) -> None:
        if next(left, None) is not None:
            raise error

    return act


def run(move: AppMigration) -> AppMigration:
    run_move(move.pk)
    return queries.move(move.pk, viewer=None)


def expire(move: AppMigration) -> None:
    AppMigration.objects.filter(pk=move.pk).update(lease_expires_at=Now() - timedelta(seconds=1))


def test_the_steps_are_walked_in_the_order_of_the_plan(move: AppMigration, done: list[str]) -> None:
    after = run(move)
    assert done == [f"do {step}" for step in SNAPSHOT]
    assert (after.status, after.app.region.slug, after.lease_owner) == (Status.COMPLETED, "eu", "")
    verbs = [event.verb for event in AuditEvent.objects.order_by("id")]
    assert verbs == ["request", "start", "pass_pivot", "retain", "complete"]
    assert SourceReplica.objects.get().region.slug == "us"


def test_a_second_runner_changes_nothing(move: AppMigration, done: list[str]) -> None:
    assert claim(AppMigration.objects.filter(status__in=WORKED), move.pk)
    assert "another runner has it" in run_move(move.pk)
    assert done == []


def test_a_job_for_a_move_that_is_over_or_unknown_does_nothing(move: AppMigration, done: list[str]) -> None:
    actions.abort(move_id=move.pk, acting_user=None, reason="a test")
    run_move(move.pk)
    run_move("00000000-0000-0000-0000-000000000000")
    assert done == []


def test_a_move_that_is_not_due_waits(steps: dict[Step, StandIn], move: AppMigration, done: list[str]) -> None:
    AppMigration.objects.filter(pk=move.pk).update(due_at=Now() + timedelta(hours=1))
    run_move(move.pk)
    assert done == []


def test_every_write_of_a_runner_that_lost_its_lease_fails(move: AppMigration) -> None:
    lease = claim(AppMigration.objects.filter(status__in=WORKED), move.pk)
    assert lease
    late = Journal(lease)
    late.change_status(Status.RUNNING, verb="start")
    late.begin(Step.RESERVING_DEST, Direction.DO)
    expire(move)
    successor = claim(AppMigration.objects.filter(status__in=WORKED), move.pk)
    assert successor
    assert successor.token > lease.token
    before = AppMigration.objects.values().get(pk=move.pk), list(move.step_runs.values())
    writes: list[Callable[[], object]] = [
        lambda: late.act("late"),
        lambda: late.remember(late=True),
        lambda: late.progress(1, 1, "tables"),
        lambda: late.stamp("writes_blocked_at"),
        lambda: late.keep_report({}),
        lambda: late.pass_pivot(),
        lambda: late.begin(Step.BLOCKING_WRITES, Direction.DO),
        lambda: late.end(RunStatus.DONE),
        lambda: late.note_error("late", "late"),
        lambda: late.change_status(Status.HELD, verb="hold"),
    ]
    for write in writes:
        with pytest.raises(LeaseLost):
            write()
    lease.release()
    assert (AppMigration.objects.values().get(pk=move.pk), list(move.step_runs.values())) == before


def test_a_runner_that_died_is_followed_by_another_that_goes_on_where_it_was(
    steps: dict[Step, StandIn], move: AppMigration, done: list[str]
) -> None:
    steps[Step.DUMPING_DATA].on_do = fail(RuntimeError("the worker is gone"), times=1)
    with pytest.raises(RuntimeError):
        run_move(move.pk)
    done.clear()
    assert "another runner has it" in run_move(move.pk)  # its lease still holds
    expire(move)
    after = run(move)
    assert after.status == Status.COMPLETED
    assert done == [f"do {step}" for step in SNAPSHOT[SNAPSHOT.index(Step.DUMPING_DATA) :]]
    runs = after.step_runs.filter(step=Step.DUMPING_DATA)
    assert [run.status for run in runs] == [RunStatus.INTERRUPTED, RunStatus.DONE]


def test_three_deaths_on_one_step_hold_the_move(steps: dict[Step, StandIn], move: AppMigration) -> None:
    steps[Step.DUMPING_DATA].on_do = fail(RuntimeError("the worker is gone"))
    for _ in range(3):
        with pytest.raises(RuntimeError):
            run_move(move.pk)
        expire(move)
    after = run(move)
    assert (after.status, after.worker_deaths) == (Status.HELD, 3)
    assert after.last_error == "3 workers died or fell silent in dumping_data."


def test_three_deaths_in_an_undoing_say_so_and_what_is_left(
    steps: dict[Step, StandIn], move: AppMigration, done: list[str]
) -> None:
    steps[Step.DUMPING_DATA].on_do = fail(PermanentError("no"))
    steps[Step.RESERVING_DEST].on_undo = fail(RuntimeError("the worker is gone"))
    for _ in range(3):
        with pytest.raises(RuntimeError):
            run_move(move.pk)
        expire(move)
    after = run(move)
    assert after.status == Status.HELD
    assert after.last_error.startswith("3 workers died or fell silent in undoing reserving_dest. Not looked at")


def test_a_move_held_in_its_undoing_is_not_aborted_again_and_again(
    steps: dict[Step, StandIn], move: AppMigration, settings: LazySettings
) -> None:
    settings.MOVES_BLOCK_BUDGET_SECONDS = {"snapshot": 0}
    steps[Step.BLOCKING_WRITES].on_do = lambda move: move.stamp("writes_blocked_at")
    steps[Step.BLOCKING_WRITES].on_undo = fail(PermanentError("an edge is gone"))
    assert run(move).status == Status.HELD
    assert abort_overdue() == 0
    assert queries.move(move.pk, viewer=None).status == Status.HELD


def test_a_passing_failure_is_tried_five_times_then_undone(
    steps: dict[Step, StandIn], move: AppMigration, done: list[str]
) -> None:
    steps[Step.DUMPING_DATA].on_do = fail(TransientError("the disk is slow"))
    after = run(move)
    assert done.count(f"do {Step.DUMPING_DATA}") == 5
    assert (after.status, after.last_error, after.retry_count) == (Status.FAILED, "the disk is slow", 0)
    assert done[-4:] == ["undo blocking_writes", "undo dumping_data", "undo reserving_dest", "undo requested"]


def test_a_lasting_failure_is_not_tried_again(steps: dict[Step, StandIn], move: AppMigration, done: list[str]) -> None:
    steps[Step.RESERVING_DEST].on_do = fail(PermanentError("the name is taken"))
    assert run(move).status == Status.FAILED
    assert done == ["do requested", "do reserving_dest", "undo reserving_dest", "undo requested"]


def test_an_undo_that_fails_is_held_and_retried_as_an_undo(
    steps: dict[Step, StandIn], move: AppMigration, done: list[str]
) -> None:
    steps[Step.DUMPING_DATA].on_do = fail(PermanentError("no"))
    steps[Step.DUMPING_DATA].on_undo = fail(TransientError("not now"), times=5)
    held = run(move)
    assert held.status == Status.HELD
    assert held.last_error.startswith(
        "Undoing dumping_data: not now Not looked at, as it does not answer: cluster of eu"
    )
    done.clear()
    actions.retry(move_id=move.pk, acting_user=None, reason="a test")
    after = run(move)
    assert (after.status, after.last_error) == (Status.FAILED, "no")
    assert done == ["undo dumping_data", "undo reserving_dest", "undo requested"]


def test_past_the_pivot_nothing_is_undone(steps: dict[Step, StandIn], move: AppMigration, done: list[str]) -> None:
    steps[Step.UNBLOCKING_WRITES].on_do = fail(PermanentError("no"))
    held = run(move)
    assert (held.status, held.current_step) == (Status.HELD, Step.UNBLOCKING_WRITES)
    assert not [line for line in done if line.startswith("undo")]


def test_an_abort_while_a_step_works_is_noticed(
    steps: dict[Step, StandIn], move: AppMigration, done: list[str]
) -> None:
    def work(move: Move) -> None:
        actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")
        while True:
            move.check()

    steps[Step.RESTORING_DATA].on_do = work
    assert run(move).status == Status.ABORTED
    assert done[-5:] == [
        "undo blocking_writes",
        "undo restoring_data",
        "undo dumping_data",
        "undo reserving_dest",
        "undo requested",
    ]


def test_an_abort_between_two_steps_is_noticed(steps: dict[Step, StandIn], move: AppMigration, done: list[str]) -> None:
    steps[Step.RESERVING_DEST].on_do = lambda move: void(
        actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")
    )
    assert run(move).status == Status.ABORTED
    assert "do blocking_writes" not in done


def test_a_move_aborts_itself_when_writes_are_blocked_for_too_long(
    steps: dict[Step, StandIn], move: AppMigration, settings: LazySettings
) -> None:
    def work(move: Move) -> None:
        while True:
            move.check()

    settings.MOVES_BLOCK_BUDGET_SECONDS = {"snapshot": 0.2}
    steps[Step.BLOCKING_WRITES].on_do = lambda move: move.stamp("writes_blocked_at")
    steps[Step.DUMPING_DATA].on_do = work
    after = run(move)
    assert (after.status, after.app.region.slug) == (Status.ABORTED, "us")
    assert "longer than" in AuditEvent.objects.get(verb="abort").reason


def test_a_move_may_have_a_budget_of_its_own(steps: dict[Step, StandIn], move: AppMigration) -> None:
    def work(move: Move) -> None:
        while True:
            move.check()

    AppMigration.objects.update(block_budget_seconds=1)
    steps[Step.BLOCKING_WRITES].on_do = lambda move: move.stamp("writes_blocked_at")
    steps[Step.DUMPING_DATA].on_do = work
    assert run(move).status == Status.ABORTED
    assert "longer than the 1 s" in AuditEvent.objects.get(verb="abort").reason


def test_a_try_past_its_deadline_has_failed_for_a_passing_reason(
    steps: dict[Step, StandIn], move: AppMigration, done: list[str], settings: LazySettings
) -> None:
    def work(move: Move) -> None:
        while True:
            move.check()

    settings.MOVES_STEP_DEADLINES = {"any": 60, Step.DUMPING_DATA: 0.05}
    steps[Step.DUMPING_DATA].on_do = work
    after = run(move)
    assert done.count("do dumping_data") == 5
    assert (after.status, after.last_error_code) == (Status.FAILED, "deadline")


def test_an_undoing_has_a_deadline_too(steps: dict[Step, StandIn], move: AppMigration, settings: LazySettings) -> None:
    def work(move: Move) -> None:
        while True:
            move.check()

    settings.MOVES_STEP_DEADLINES = {"any": 0.2, "copying_blobs": 60}
    steps[Step.BLOCKING_WRITES].on_do = lambda move: move.stamp("writes_blocked_at")
    steps[Step.BLOCKING_WRITES].on_undo = work
    steps[Step.DUMPING_DATA].on_do = fail(PermanentError("no"))
    after = run(move)
    assert (after.status, after.last_error_code) == (Status.HELD, "deadline")


@pytest.mark.parametrize("asks", [False, True], ids=["and_never_asks", "and_lets_nothing_go"])
@pytest.mark.parametrize("limit", ["the deadline of the step", "the budget of the block", "an abort"])
def test_a_runner_that_hangs_past_a_limit_is_ended(
    steps: dict[Step, StandIn],
    move: AppMigration,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    asks: bool,
) -> None:
    killed = threading.Event()
    monkeypatch.setattr("migrations_app.engine.lease.os.kill", lambda pid, signum: killed.set())

    def hang(move: Move) -> None:
        if limit == "an abort":
            actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")
        with suppress(TransientError, AbortRequested):
            while asks:
                move.check()
        assert killed.wait(30), "nobody ended it"
        raise RuntimeError("the process is gone")

    settings.MOVES_LEASE_SECONDS, settings.MOVES_BEAT_SECONDS = 1, 0.3
    if limit == "the deadline of the step":
        settings.MOVES_STEP_DEADLINES = {"any": 60, Step.DUMPING_DATA: 0.05}
    if limit == "the budget of the block":
        settings.MOVES_BLOCK_BUDGET_SECONDS = {"snapshot": 0.2}
    steps[Step.BLOCKING_WRITES].on_do = lambda move: move.stamp("writes_blocked_at")
    steps[Step.DUMPING_DATA].on_do = hang
    with pytest.raises(RuntimeError):
        run_move(move.pk)


def test_a_runner_that_hangs_without_its_lease_is_ended(
    steps: dict[Step, StandIn], move: AppMigration, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = threading.Event()
    monkeypatch.setattr("migrations_app.engine.lease.os.kill", lambda pid, signum: killed.set())

    def hang(move: Move) -> None:
        AppMigration.objects.update(fencing_token=F("fencing_token") + 1)
        assert killed.wait(30), "nobody ended it"
        raise RuntimeError("the process is gone")

    settings.MOVES_LEASE_SECONDS, settings.MOVES_BEAT_SECONDS = 1, 0.3
    steps[Step.DUMPING_DATA].on_do = hang
    with pytest.raises(RuntimeError):
        run_move(move.pk)


@pytest.mark.parametrize("undoing", [False, True], ids=["doing", "undoing"])
def test_a_runner_that_works_on_past_no_limit_is_left_alone(
    steps: dict[Step, StandIn],
    move: AppMigration,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
    undoing: bool,
) -> None:
    killed = threading.Event()
    monkeypatch.setattr("migrations_app.engine.lease.os.kill", lambda pid, signum: killed.set())

    def work(move: Move) -> None:
        assert not killed.wait(5)

    settings.MOVES_LEASE_SECONDS, settings.MOVES_BEAT_SECONDS = 2, 0.3
    if undoing:
        steps[Step.DUMPING_DATA].on_undo = work
        steps[Step.RESTORING_DATA].on_do = fail(PermanentError("no"))
    else:
        steps[Step.DUMPING_DATA].on_do = work
    assert run(move).status == (Status.FAILED if undoing else Status.COMPLETED)


def test_the_portals_database_may_go_away_in_the_middle_and_no_try_is_used(
    steps: dict[Step, StandIn], move: AppMigration, done: list[str]
) -> None:
    def lose(move: Move) -> None:
        with suppress(OperationalError), connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        if done.count("do dumping_data") < 5:
            move.act("this goes nowhere")

    steps[Step.DUMPING_DATA].on_do = lose
    for _ in range(4):
        run_move(move.pk)
        between = queries.move(move.pk, viewer=None)
        assert (between.lease_owner, between.worker_deaths, between.retry_count) == ("", 0, 0)
        AppMigration.objects.update(due_at=None)
    steps[Step.DUMPING_DATA].on_do = lambda move: None
    assert run(move).status == Status.COMPLETED


def test_the_time_of_the_next_try_is_there_for_all_to_see(
    steps: dict[Step, StandIn], move: AppMigration, settings: LazySettings
) -> None:
    seen: list[str] = []

    def look(move: Move) -> None:
        seen.append(queries.next_try(queries.move(move.row.pk, viewer=None)))
        if len(seen) < 3:
            raise TransientError("the disk is slow")

    def look_while_waiting(seconds: float) -> None:
        seen.append(queries.next_try(queries.move(move.pk, viewer=None)))

    with pytest.MonkeyPatch.context() as patched:
        settings.MOVES_BACKOFF_MAX_SECONDS = 0.05
        patched.setattr("migrations_app.engine.executor.time.sleep", look_while_waiting)
        steps[Step.DUMPING_DATA].on_do = look
        assert run(move).status == Status.COMPLETED
    assert seen[0] == ""
    assert "has failed 1 of 5 times and is tried again at" in seen[1]


def test_a_full_region_makes_a_move_wait_where_people_see_it(
    steps: dict[Step, StandIn], move: AppMigration, done: list[str]
) -> None:
    from migrations_app.steps import requested

    steps[Step.REQUESTED].on_do = requested._take_slot
    Region.objects.filter(slug="eu").update(concurrent_moves=0)
    waiting = run(move)
    assert (waiting.status, waiting.current_step) == (Status.QUEUED, Step.REQUESTED)
    step = published.steps_of(waiting)[0]
    assert (step["state"], "free slot in eu" in step["reason"]) == (RunStatus.WAITING, True)
    Region.objects.filter(slug="eu").update(concurrent_moves=1)
    AppMigration.objects.filter(pk=move.pk).update(due_at=Now())
    assert run(move).status == Status.COMPLETED
    assert move.step_runs.filter(step=Step.REQUESTED).count() == 1


def void(_: object) -> None:
    return None

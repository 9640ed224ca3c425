"""Runners that die, fall silent or are stopped: real workers and their process trees, and what the next one finds."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis
from django.conf import LazySettings
from django.db import Error, connection, transaction
from django.db.models.functions import Now

from migrations_app import actions, bell, queries
from migrations_app.dataplane import plain_http, process, supervisor_rpc
from migrations_app.dataplane.runner import MARKER, Runner, working
from migrations_app.engine import executor, predecessor, stopping
from migrations_app.engine.executor import run_move
from migrations_app.engine.lease import Lease, claim, is_alive
from migrations_app.engine.teardown import Teardown, run_teardown
from migrations_app.errors import HandedBack, LeaseLost, TransientError
from migrations_app.models import App, AppMigration, AuditEvent, Region, SourceReplica
from migrations_app.move import Move
from migrations_app.states import WORKED, ReplicaState, RunStatus, Status, Step
from tests.conftest import Shop, carry, traces
from tests.test_engine import StandIn
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CHECKOUT = Path(__file__).resolve().parents[1]
PG_DUMP = """#!/bin/sh
# Dumping takes for ever, in a child of its own, while the file `hold` is there.
case "$*" in *--format=directory*)
    if [ -e {folder}/hold ]; then sleep 1000 & echo $! > {folder}/pid; mv {folder}/pid {folder}/dumping; wait; fi;;
esac
exec {real} "$@"
"""


@pytest.fixture(autouse=True)
def _nobody_has_asked_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "_asked_at", None)


# -- real workers -------------------------------------------------------------------------------------------------


@dataclass
class Machine:
    """Where workers run on which dumping takes for ever, until release() is called."""

    folder: Path
    env: dict[str, str]
    started: list[subprocess.Popen[bytes]]

    def start(self, *options: str, **env: str) -> subprocess.Popen[bytes]:
        worker = subprocess.Popen(
            [sys.executable, CHECKOUT / "manage.py", "work", "eu-west-1", *options], env={**self.env, **env}
        )
        self.started.append(worker)
        return worker

    def grandchild(self) -> psutil.Process:
        """The child of pg_dump, once it dumps."""
        dumping = self.folder / "dumping"
        wait_until(dumping.exists, seconds=60)
        return psutil.Process(int(dumping.read_text()))

    def release(self) -> None:
        (self.folder / "hold").unlink()


@pytest.fixture
def machine(tmp_path: Path, settings: LazySettings, transactional_db: None) -> Iterator[Machine]:
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in Path(settings.PG_BIN_DIR).iterdir():
        (tools / tool.name).symlink_to(tool)
    (tools / "pg_dump").unlink()
    (tools / "pg_dump").write_text(PG_DUMP.format(folder=tmp_path, real=Path(settings.PG_BIN_DIR) / "pg_dump"))
    (tools / "pg_dump").chmod(0o755)
    (tmp_path / "hold").touch()
    settings.REDIS_URL = settings.REDIS_URL.rpartition("/")[0] + "/7"  # what others ring for is not for our workers
    redis.from_url(settings.REDIS_URL).flushdb()
    env = {
        **os.environ,
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}",
        "REDIS_URL": settings.REDIS_URL,
        "PG_BIN_DIR": str(tools),
        "MOVES_FOUR_EYES": "",
        "MOVES_LEASE_SECONDS": "3",
        "MOVES_BEAT_SECONDS": "1",
    }
    machine = Machine(tmp_path, env, [])
    yield machine
    for worker in machine.started:
        tree = psutil.Process(worker.pid).children(recursive=True) if worker.poll() is None else []
        for left in tree:
            left.kill()
        worker.kill()
        worker.wait()


@pytest.fixture
def move(machine: Machine, shop: Shop) -> AppMigration:
    return actions.request_move(app_slug=shop.app.slug, dest_slug="eu-west-1", acting_user=None, reason="a test")


def is_gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def tree_of(worker: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Its work-horse, and what that has started, in this order."""
    return psutil.Process(worker.pid).children(recursive=True)


def await_expiry(move: AppMigration) -> None:
    wait_until(lambda: AppMigration.objects.filter(pk=move.pk, lease_expires_at__lt=Now()).exists())


def acts_of(move: AppMigration, step: Step) -> str:
    return "\n".join(act["text"] for run in move.step_runs.filter(step=step) for act in run.acts)


def dumping_runs(move: AppMigration) -> list[str]:
    return [run.status for run in move.step_runs.filter(step=Step.DUMPING_DATA).order_by("attempt")]


def everything(move: AppMigration, shop: Shop, *regions: Region) -> list[Any]:
    """What the portal and the regions know of the move."""
    return [
        AppMigration.objects.values().get(pk=move.pk),
        list(move.step_runs.order_by("id").values()),
        list(App.objects.values()),
        AuditEvent.objects.count(),
        *[(sorted(traces(shop, at), key=str), shop.sql(at, "SELECT count(*), max(id) FROM item")) for at in regions],
    ]


def test_a_killed_worker_takes_its_tree_along_and_the_next_runner_ends_the_rest(
    machine: Machine, move: AppMigration
) -> None:
    worker = machine.start()
    grandchild = machine.grandchild()
    horse, pg_dump, *_ = tree_of(worker)
    worker.kill()
    worker.wait()
    wait_until(lambda: is_gone(horse) and is_gone(pg_dump))
    assert not is_gone(grandchild)
    await_expiry(move)
    after = carry(move)
    assert after.status == Status.COMPLETED
    assert is_gone(grandchild)
    assert dumping_runs(after) == [RunStatus.INTERRUPTED, RunStatus.DONE]
    assert "Ended processes that an earlier runner had left" in acts_of(after, Step.DUMPING_DATA)


@pytest.mark.parametrize("where", ["on this machine", pytest.param("elsewhere", marks=pytest.mark.slow)])
def test_a_runner_that_wakes_up_late_changes_nothing(
    machine: Machine, move: AppMigration, shop: Shop, us: Region, eu: Region, where: str
) -> None:
    worker = machine.start()
    machine.grandchild()
    horse, *children = tree_of(worker)
    wait_until(lambda: is_alive(str(move.pk)))
    horse.suspend()
    if where == "elsewhere":  # then it cannot be killed
        AppMigration.objects.filter(pk=move.pk).update(lease_owner="elsewhere:1:1")
    await_expiry(move)
    assert is_alive(str(move.pk))
    after = carry(move)
    assert after.status == Status.COMPLETED
    assert "had fallen silent and was still there" in acts_of(after, Step.DUMPING_DATA)
    assert all(map(is_gone, children))
    assert is_gone(horse) == (where == "on this machine")
    found = everything(move, shop, us, eu)
    if where == "elsewhere":
        horse.resume()
        wait_until(lambda: is_gone(horse))
    worker.send_signal(signal.SIGTERM)
    worker.wait(timeout=30)
    assert everything(move, shop, us, eu) == found


def test_a_stopped_worker_hands_its_move_back_and_another_goes_on_at_once(machine: Machine, move: AppMigration) -> None:
    worker = machine.start(MOVES_STOP_GRACE_SECONDS="0", MOVES_LEASE_SECONDS="600")
    machine.grandchild()
    tree = tree_of(worker)
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0
    assert all(map(is_gone, tree))
    back = queries.move(move.pk, viewer=None)
    assert (back.status, back.lease_owner, back.lease_expires_at) == (Status.RUNNING, "", None)
    assert (back.retry_count, back.worker_deaths, back.last_error) == (0, 0, "")
    run = back.step_runs.get(step=Step.DUMPING_DATA)
    assert (run.status, run.reason) == (RunStatus.INTERRUPTED, HandedBack.reason)
    machine.release()
    assert machine.start("--burst").wait(timeout=120) == 0  # nobody rings for it but the one that was stopped
    after = queries.move(move.pk, viewer=None)
    assert after.status == Status.COMPLETED
    assert dumping_runs(after) == [RunStatus.INTERRUPTED, RunStatus.DONE]


def test_a_worker_that_waits_for_work_stops_at_once(machine: Machine, eu: Region) -> None:
    worker = machine.start()
    with bell.connect() as bells:  # signals are seen to by then, other than when it is first on RQ's list
        wait_until(lambda: [bells.hget(key, "state") for key in bells.smembers("rq:workers")] == [b"idle"])
    worker.send_signal(signal.SIGTERM)
    assert worker.wait(timeout=30) == 0


# -- a stop, on paper ---------------------------------------------------------------------------------------------


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> dict[Step, StandIn]:
    steps = {step: StandIn(step, []) for step in Step}
    monkeypatch.setattr(executor, "STEPS", steps)
    settings.MOVES_BACKOFF_MAX_SECONDS = 0.01
    return steps


@pytest.fixture
def paper_move(steps: dict[Step, StandIn]) -> AppMigration:
    us = Region.objects.create(slug="us", database="host=us")
    Region.objects.create(slug="eu", database="host=eu")
    App.objects.create(slug="shop", database="shop", region=us)
    steps[Step.BLOCKING_WRITES].on_do = lambda move: move.stamp("writes_blocked_at")
    steps[Step.UNBLOCKING_WRITES].on_do = lambda move: move.stamp("writes_unblocked_at")
    return actions.request_move(app_slug="shop", dest_slug="eu", acting_user=None, reason="a test")


def stop(move: Move) -> None:
    stopping.ask()
    move.check()


def handed_back(move: AppMigration) -> AppMigration:
    """The move, given back without a try or a death."""
    assert run_move(move.pk) == HandedBack.reason
    after = AppMigration.objects.get(pk=move.pk)
    assert (after.lease_owner, after.retry_count, after.worker_deaths) == ("", 0, 0)
    return after


def test_a_stop_waits_for_the_end_of_a_block(
    steps: dict[Step, StandIn], paper_move: AppMigration, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps[Step.DUMPING_DATA].on_do = stop
    back = handed_back(paper_move)
    assert (back.status, back.current_step) == (Status.RUNNING, Step.UNBLOCKING_WRITES)
    assert not back.step_runs.exclude(status=RunStatus.DONE).exists()
    monkeypatch.setattr(stopping, "_asked_at", None)
    run_move(paper_move.pk)
    assert AppMigration.objects.get(pk=paper_move.pk).status == Status.COMPLETED


def test_past_its_grace_a_stop_does_not_wait_for_the_end_of_a_block(
    steps: dict[Step, StandIn], paper_move: AppMigration, settings: LazySettings
) -> None:
    settings.MOVES_STOP_GRACE_SECONDS = 0
    steps[Step.DUMPING_DATA].on_do = stop
    assert handed_back(paper_move).current_step == Step.DUMPING_DATA


def test_a_step_that_fails_because_of_the_stop_has_not_failed(
    steps: dict[Step, StandIn], paper_move: AppMigration
) -> None:
    def work(move: Move) -> None:
        stopping.ask()
        raise TransientError("pg_dump: ended by signal 15")

    steps[Step.RESERVING_DEST].on_do = work
    back = handed_back(paper_move)
    assert back.step_runs.get(step=Step.RESERVING_DEST).status == RunStatus.INTERRUPTED


def test_an_undo_is_handed_back_too(
    steps: dict[Step, StandIn], paper_move: AppMigration, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps[Step.RESERVING_DEST].on_do = lambda move: void(
        actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")
    )
    steps[Step.RESERVING_DEST].on_undo = stop
    assert handed_back(paper_move).status == Status.ABORTING
    monkeypatch.setattr(stopping, "_asked_at", None)
    steps[Step.RESERVING_DEST].on_undo = void
    run_move(paper_move.pk)
    assert AppMigration.objects.get(pk=paper_move.pk).status == Status.ABORTED


def test_a_teardown_is_handed_back(paper_move: AppMigration, monkeypatch: pytest.MonkeyPatch) -> None:
    run_move(paper_move.pk)
    replica = actions.teardown(move_id=paper_move.pk, acting_user=None, reason="a test", confirm="shop")
    stopping.ask()
    monkeypatch.setattr(Teardown, "_end_stream", Teardown._check)
    assert run_teardown(replica.pk) == HandedBack.reason
    left = SourceReplica.objects.get(pk=replica.pk)
    assert (left.state, left.lease_owner, left.last_error) == (ReplicaState.TEARING_DOWN, "", "")


def void(_: object) -> None:
    return None


# -- the lock -----------------------------------------------------------------------------------------------------


def claimed(move: AppMigration) -> Lease[AppMigration]:
    lease = claim(AppMigration.objects.filter(status__in=WORKED), move.pk)
    assert lease
    return lease


def test_the_lock_shows_whether_a_runner_lives(paper_move: AppMigration) -> None:
    lease = claimed(paper_move)
    assert not is_alive(lease.name)
    with lease.kept():
        wait_until(lambda: is_alive(lease.name))
        with connection.cursor() as cursor:  # the keeper comes back when its session was ended
            cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
        wait_until(lambda: is_alive(lease.name))
        assert not lease.lost
    wait_until(lambda: not is_alive(lease.name))  # PostgreSQL lets go a moment after the session was closed
    with connection.cursor() as cursor:
        cursor.execute("SHOW application_name")
        assert "region-mover" not in cursor.fetchone()[0]


def test_a_runner_that_stops_in_a_transaction_does_not_keep_the_next_one_waiting(
    paper_move: AppMigration, settings: LazySettings
) -> None:
    settings.MOVES_LEASE_SECONDS = 1
    lease = claimed(paper_move)
    holds, go_on = threading.Event(), threading.Event()
    said: list[Exception] = []

    def stop_in_a_transaction() -> None:
        lease._sign_on()
        try:
            with transaction.atomic():
                AppMigration.objects.select_for_update().get(pk=paper_move.pk)
                holds.set()
                go_on.wait(30)
                lease.write(last_error="late")
        except Error as error:
            said.append(error)
        finally:
            connection.close()

    late = threading.Thread(target=stop_in_a_transaction)
    late.start()
    holds.wait(30)
    await_expiry(paper_move)
    successor = claimed(paper_move)
    go_on.set()
    late.join()
    assert (successor.token, len(said)) == (lease.token + 1, 1)


# -- what is left on a machine and in the regions -----------------------------------------------------------------


@pytest.fixture
def sleeper() -> Iterator[Callable[[str], psutil.Process]]:
    """Starts a process that carries the mark."""
    started: list[subprocess.Popen[bytes]] = []

    def start(mark: str) -> psutil.Process:
        started.append(subprocess.Popen(["sleep", "1000"], env={MARKER: mark}, start_new_session=True))
        return psutil.Process(started[-1].pid)

    yield start
    for sleeping in started:
        sleeping.kill()
        sleeping.wait()


def test_only_what_earlier_runners_of_the_same_move_left_is_ended(
    paper_move: AppMigration, sleeper: Callable[[str], psutil.Process]
) -> None:
    AppMigration.objects.update(fencing_token=4)
    lease = claimed(paper_move)
    other = "00000000-0000-0000-0000-000000000000"
    earlier = sleeper(f"{lease.name}:{lease.token - 1}")
    spared = [
        sleeper(mark) for mark in (f"{lease.name}:{lease.token}", f"{lease.name}:{lease.token + 1}", f"{other}:1", "?")
    ]
    predecessor.evict(lease)
    assert is_gone(earlier)
    assert not any(map(is_gone, spared))
    assert len(lease.notes) == 1


def test_a_process_that_only_has_the_number_of_the_earlier_runner_is_spared(
    paper_move: AppMigration, sleeper: Callable[[str], psutil.Process]
) -> None:
    stranger = sleeper("?")
    claimed(paper_move)
    host, _, started = AppMigration.objects.get().lease_owner.split(":")
    AppMigration.objects.update(
        lease_owner=f"{host}:{stranger.pid}:{started}", lease_expires_at=Now() - timedelta(seconds=1)
    )
    lease = claimed(paper_move)
    predecessor.evict(lease)
    assert (lease.previous_owner_died, is_gone(stranger), lease.notes) == (True, False, [])


def test_sessions_of_earlier_runners_end_before_the_next_one_has_its_first(shop: Shop, us: Region) -> None:
    at, notes = shop.cluster(us), list[str]()
    with ExitStack() as sessions:
        for mark in ("a:1", "a:2", "a:3", "b:1"):
            sessions.enter_context(psycopg.connect(at.target, application_name=f"region-mover {mark}"))
        with working(Runner("a", 2, lost=lambda: False, note=notes.append)), at.connect() as mine:
            query = "SELECT application_name FROM pg_stat_activity WHERE datname = current_database() ORDER BY 1"
            left = [row[0].removeprefix("region-mover ") for row in mine.execute(query).fetchall()]
    assert left == ["a:2", "a:2", "a:3", "b:1"]
    assert notes == ["Ended sessions that an earlier runner had left in us-east-1: 1."]


def test_a_runner_without_its_lease_does_nothing_in_the_regions(shop: Shop, us: Region) -> None:
    acts: list[Callable[[], object]] = [
        lambda: process.run(["true"], deadline_seconds=1),
        lambda: plain_http.request("GET", "http://127.0.0.1:1/"),
        lambda: supervisor_rpc.call("http://127.0.0.1:1/RPC2", "getState"),
        lambda: shop.sql(us, "SELECT 1"),
    ]
    with working(Runner("a", 1, lost=lambda: True, note=void)):
        for act in acts:
            with pytest.raises(LeaseLost):
                act()


def test_a_subprocess_carries_the_mark_of_its_runner() -> None:
    with working(Runner("a", 7, lost=lambda: False, note=void)):
        assert process.run(["printenv", MARKER], deadline_seconds=30).stdout == b"a:7\n"

"""The reconciler: one leads, a round goes on whatever a row does, and what is wrong is an alarm, once."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import rq
from django.conf import LazySettings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.db.models.functions import Now

from migrations_app import alarms, approvals, bell
from migrations_app.approvals import expire
from migrations_app.engine.alarms import Trouble, raise_, still_open
from migrations_app.engine.leadership import leads
from migrations_app.engine.reconciler import one_round
from migrations_app.engine.unworked import look_for_workers
from migrations_app.models import Alarm, AppMigration, Approval, Heartbeat
from migrations_app.models.alarm import AlarmCode
from migrations_app.states import Act, Status
from migrations_app.transitions import change_status
from tests import on_paper
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture
def due() -> AppMigration:
    """A move on paper that waits for nothing but a worker; the queue is empty and nobody listens."""
    move = on_paper.move(on_paper.app("shop"))
    with bell.connect() as redis:
        queue = bell.queue_of("eu-west-1", redis)
        queue.empty()
        for worker in rq.Worker.all(queue=queue):
            worker.register_death()
    return move


def open_codes() -> list[str]:
    return [alarm.code for alarm in still_open().order_by("id")]


# -- one leads --------------------------------------------------------------------------------------------------------


def test_the_second_reconciler_takes_over_when_the_first_is_killed(tmp_path: Path) -> None:
    with reconciling(tmp_path / "first") as first:
        wait_until(lambda: "reconcile.leads" in (tmp_path / "first").read_text())
        with reconciling(tmp_path / "second"):
            wait_until(lambda: "another_one_leads" in (tmp_path / "second").read_text())
            heard = Heartbeat.objects.get().at
            first.send_signal(signal.SIGKILL)
            wait_until(lambda: "reconcile.leads" in (tmp_path / "second").read_text())
            wait_until(lambda: Heartbeat.objects.get().at > heard)


def test_a_leader_whose_session_is_lost_leads_no_more(other_session: psycopg.Connection[Any]) -> None:
    assert [leads(), leads()] == [True, True]
    mine = connection.connection.info.backend_pid
    other_session.execute("SELECT pg_terminate_backend(%s, 5000)", [mine])
    assert lead(other_session)
    with pytest.raises(OperationalError):
        leads()
    connection.close()
    assert not leads()
    other_session.execute("SELECT pg_advisory_unlock_all()")
    assert leads()
    connection.close()


def test_a_session_that_django_opens_anew_does_not_lead_by_itself(other_session: psycopg.Connection[Any]) -> None:
    assert leads()
    connection.close()
    wait_until(lambda: lead(other_session))
    assert not leads()


def test_one_round_by_hand_needs_no_lead(due: AppMigration, other_session: psycopg.Connection[Any]) -> None:
    assert lead(other_session)
    out = io.StringIO()
    call_command("reconcile", "--once", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"rung": 1}


@contextmanager
def reconciling(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A real `manage.py reconcile`, on the test's database."""
    at = connection.settings_dict
    env = os.environ | {
        "DATABASE_URL": f"postgres://{at['USER']}@{at['HOST']}:{at['PORT']}/{at['NAME']}",
        "MOVES_RECONCILE_SECONDS": "0.05",
        "PYTHONUNBUFFERED": "1",
    }
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "reconcile"], cwd=CHECKOUT, env=env, stdout=out, stderr=out
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def other_session() -> Iterator[psycopg.Connection[Any]]:
    """Another reconciler's session at the portal's database."""
    with psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None}, autocommit=True) as session:
        yield session


def lead(session: psycopg.Connection[Any]) -> bool:
    row = session.execute("SELECT pg_try_advisory_lock(x'7265636f'::int, 0)").fetchone()
    return bool(row and row[0])


# -- a round ----------------------------------------------------------------------------------------------------------


def test_a_row_that_cannot_be_dealt_with_does_not_keep_the_others_waiting(
    due: AppMigration, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long_ago = Now() - timedelta(days=1)
    bad, good = (
        on_paper.move(on_paper.app(slug), status=Status.RUNNING, writes_blocked_at=long_ago) for slug in ("bad", "good")
    )

    def refuse_the_bad(move: AppMigration, *args: Any, **kwargs: Any) -> None:
        if move == bad:
            raise ValueError("no idea")
        change_status(move, *args, **kwargs)

    monkeypatch.setattr("migrations_app.engine.reconciler.change_status", refuse_the_bad)
    assert one_round() == 3
    assert AppMigration.objects.get(pk=good.pk).status == Status.ABORTING
    assert Heartbeat.objects.exists()
    assert "ValueError: no idea" in capsys.readouterr().err


def test_a_request_that_cannot_be_closed_does_not_keep_the_others_open(monkeypatch: pytest.MonkeyPatch) -> None:
    for slug in ("bad", "good"):
        move = on_paper.move(on_paper.app(slug), status=Status.AWAITING_APPROVAL)
        subject = approvals.subject_of(move, Act.MOVE, [])
        approvals.ask(move, Act.MOVE, requested_by=None, reason="a test", subject=subject)
    Approval.objects.update(expires_at=Now() - timedelta(seconds=1))

    def refuse_the_bad(approval: Approval) -> bool:
        if approval.migration.app.slug == "bad":
            raise ValueError("no idea")
        return expire(approval)

    monkeypatch.setattr("migrations_app.engine.reconciler.approvals.expire", refuse_the_bad)
    one_round()
    assert list(Approval.objects.filter(state="expired").values_list("migration__app__slug", flat=True)) == ["good"]


def test_a_round_ends_when_the_portals_database_goes_away(other_session: psycopg.Connection[Any]) -> None:
    assert leads()
    other_session.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
    with pytest.raises(OperationalError):
        one_round()
    connection.close()
    assert one_round() == 0


def test_two_reconcilers_ring_and_raise_alarms_once(due: AppMigration, settings: LazySettings) -> None:
    settings.MOVES_ALARM_SECONDS = 0
    for _ in range(2):
        one_round()
    with bell.connect() as redis:
        assert bell.queue_of("eu-west-1", redis).job_ids == [f"run_move-{due.pk}"]
    assert open_codes() == ["no_worker"]
    in_threads(20, lambda: raise_(Trouble(AlarmCode.REDIS_AWAY, "redis", "It is away.", "Start it.")))
    assert open_codes() == ["no_worker", "redis_away"]


def in_threads(count: int, act: Callable[[], object]) -> None:
    def act_and_close() -> None:
        try:
            act()
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        for done in [pool.submit(act_and_close) for _ in range(count)]:
            done.result()


# -- nobody works -----------------------------------------------------------------------------------------------------


def test_a_queue_with_a_due_move_and_no_worker_is_one_alarm_until_a_worker_comes(
    due: AppMigration, settings: LazySettings
) -> None:
    settings.MOVES_ALARM_SECONDS = 0
    for _ in range(3):
        look_for_workers()
    alarm = Alarm.objects.get()
    assert (alarm.code, alarm.about, alarm.ended_at) == ("no_worker", "queue moves-eu-west-1", None)
    assert alarm.seen_at > alarm.since
    assert "manage.py work eu-west-1" in alarm.hint
    with bell.connect() as redis:
        worker = rq.Worker([bell.queue_of("eu-west-1", redis)], connection=redis)
        worker.register_birth()
        try:
            look_for_workers()
            assert open_codes() == []
            one_round()  # a worker that was killed stays on RQ's books for minutes, and takes no job
            assert open_codes() == ["no_worker"]
            assert Alarm.objects.count() == 2
        finally:
            worker.register_death()
    AppMigration.objects.update(lease_expires_at=Now() + timedelta(seconds=30))
    one_round()
    assert open_codes() == []


def test_what_became_due_just_now_is_no_alarm(due: AppMigration) -> None:
    one_round()
    assert open_codes() == []


def test_a_worker_that_is_busy_may_leave_jobs_lying(due: AppMigration, settings: LazySettings) -> None:
    settings.MOVES_ALARM_SECONDS = 0
    with bell.connect() as redis:
        worker = rq.Worker([bell.queue_of("eu-west-1", redis)], connection=redis)
        worker.register_birth()
        worker.set_state("busy")
        try:
            one_round()
            assert open_codes() == []
        finally:
            worker.register_death()


def test_redis_away_is_an_alarm_and_the_round_goes_on(due: AppMigration, settings: LazySettings) -> None:
    url, settings.REDIS_URL = settings.REDIS_URL, "redis://127.0.0.1:1/0"
    assert [one_round(), one_round()] == [0, 0]
    assert open_codes() == ["redis_away"]
    assert Heartbeat.objects.exists()
    settings.REDIS_URL = url
    assert one_round() == 1
    assert open_codes() == []


# -- who is told ------------------------------------------------------------------------------------------------------


def listed(*more: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command("list_alarms", *more, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_a_silent_reconciler_is_told_by_those_who_ask(settings: LazySettings) -> None:
    status, said = listed()
    assert (status, "has not been heard of yet" in said) == (1, True)
    one_round()
    assert listed() == (0, "No alarms.\n")
    Heartbeat.objects.update(at=Now() - timedelta(seconds=100))
    status, said = listed("--json")
    (alarm,) = json.loads(said)["alarms"]
    assert (status, alarm["code"]) == (1, "reconciler_silent")
    assert "has not been heard of for 100 s" in alarm["sentence"]


def test_open_alarms_are_listed_with_since_when_and_what_to_do() -> None:
    one_round()
    raise_(Trouble(AlarmCode.REGION_AWAY, "region x", "x cannot be watched.", "See whether it runs."))
    status, said = listed()
    assert (status, said.startswith("region_away ")) == (1, True)
    assert f"since {Alarm.objects.get().since:%Y-%m-%d %H:%M:%S} UTC  x cannot be watched. See whether" in said
    assert [alarm.code for alarm in alarms.now_open(None)] == ["region_away"]

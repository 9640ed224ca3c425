"""The stage for crashes: the guest book under traffic, real workers, a real reconciler, and what has to hold after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any, TypeVar

import psutil
import redis
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection
from psycopg.conninfo import make_conninfo

from migrations_app import actions, audit, orphans, queries
from migrations_app.errors import Refused
from migrations_app.management.watch import as_text
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.states import ACTIVE, TERMINAL, ReplicaState, Status, Strategy
from portal.sandbox.traffic import Traffic
from tests.crashes.sampling import Sampler
from tests.guestbook import GuestBook
from tests.test_guestbook_move import audited
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
ENV = {
    "MOVES_FOUR_EYES": "",
    "MOVES_LEASE_SECONDS": "5",
    "MOVES_BEAT_SECONDS": "1",
    "MOVES_RECONCILE_SECONDS": "0.2",
    "MOVES_BACKOFF_MAX_SECONDS": "1",
    "MOVES_WRITER_GRACE_SECONDS": "2",
}
_RESUMED_SECONDS = 60
"""A move goes on within that time once the cause is gone."""

_ENDED_SECONDS = 120


T = TypeVar("T")
Trouble = Callable[[], AbstractContextManager[object]]


class Program:
    """A process of this checkout, with its command and its environment."""

    def __init__(self, command: tuple[str, ...], env: dict[str, str]) -> None:
        self.command, self.env = command, env
        self.process = self._start()

    def revive(self) -> None:
        if self.process.poll() is not None:
            self.process = self._start()

    def end(self) -> None:
        """With all it has started."""
        if self.process.poll() is None:
            for left in psutil.Process(self.process.pid).children(recursive=True):
                with suppress(psutil.NoSuchProcess):
                    left.kill()
            self.process.kill()
        self.process.wait()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, *self.command], cwd=CHECKOUT, env=self.env, stdout=subprocess.DEVNULL)


@dataclass
class Scene:
    app: App
    book: GuestBook
    env: dict[str, str]
    traffic: Traffic
    sampler: Sampler
    marks: Path
    """What faults have struck is marked below it."""

    strategy: str = Strategy.SNAPSHOT
    """Of moves; what goes back is a reverse all the same."""
    struck: Path = Path()
    faulty: Program = field(init=False)
    running: list[Program] = field(default_factory=list)
    resumed_after: list[float] = field(default_factory=list)
    """Seconds from the start of a sound worker until it has the move, the end of the lease included."""

    # -- processes ----------------------------------------------------------------------------------------------

    def start(self, *command: str, **env: str) -> Program:
        self.running.append(Program(command, {**self.env, **env}))
        return self.running[-1]

    def end(self, program: Program) -> None:
        program.end()
        self.running.remove(program)

    def revive(self) -> None:
        """Start again what has ended by itself, as whoever supervises it would."""
        for program in self.running:
            program.revive()

    @contextmanager
    def worker(self, region: Region) -> Iterator[None]:
        worker = self.start("manage.py", "work", region.slug)
        try:
            yield
        finally:
            self.end(worker)

    def faulty_worker(self, region: Region, fault: str) -> Program:
        self.struck = Path(mkdtemp(dir=self.marks))
        self.faulty = self.start("-m", "tests.crashes.faults", region.slug, FAULT=fault, FAULT_STRUCK=str(self.struck))
        return self.faulty

    def go_on_late(self, fault: str) -> None:
        """What stood still goes on, now that another one has its move."""
        for pid in (int((self.struck / fault).read_text()), self.faulty.process.pid):
            os.kill(pid, signal.SIGCONT)

    def has_struck(self, fault: str) -> bool:
        """Every fault of the list, and the process struck last is dead or stands still."""
        marks = [self.struck / each for each in fault.split(",")]
        if not all(mark.exists() and mark.read_text() for mark in marks):
            return False
        return not _is_running(int(marks[-1].read_text()))

    def end_all(self) -> None:
        for program in self.running:
            program.end()

    # -- what happens -------------------------------------------------------------------------------------------

    def to(self, dest: Region, fault: str, *, ends: Status = Status.COMPLETED) -> AppMigration:
        """A move, or the reverse of the last one: a worker does it with a fault, another one goes on."""
        return self._with_fault(dest, fault, self._request(dest), ends)

    def _request(self, dest: Region) -> AppMigration:
        replica = SourceReplica.objects.filter(app=self.app, state=ReplicaState.RETAINED).first()
        if replica:
            return actions.reverse(move_id=replica.migration_id, acting_user=None, reason="a test")
        return actions.request_move(
            app_slug=self.app.slug, dest_slug=dest.slug, acting_user=None, reason="a test", strategy=self.strategy
        )

    def _with_fault(self, dest: Region, fault: str, move: AppMigration, ends: Status) -> AppMigration:
        with self._struck(dest, fault):
            began, token = time.monotonic(), token_of(move)
            with self.worker(dest):
                wait_until(lambda: token_of(move) > token or is_over(move), _RESUMED_SECONDS)
                self.resumed_after.append(time.monotonic() - began)
                if "stop@" in fault:
                    self.go_on_late(fault)
                self._await(lambda: is_over(move))
        move.refresh_from_db()
        assert move.status == ends, as_text(queries.move(move.pk, viewer=None))
        self.check()
        return move

    def gone_back(self, dest: Region, fault: str) -> AppMigration:
        """A move that is held past its pivot, and gone back from with a fault."""
        move = self._request(dest)
        with self._struck(dest, "fail@do:setting_up_reverse_replication:act"):
            self._await(lambda: is_held(move))
        actions.reverse(move_id=move.pk, acting_user=None, reason="a test")
        return self._with_fault(dest, fault, move, Status.ABORTED)

    def with_a_server_lost(self, dest: Region, fault: str) -> AppMigration:
        """A move while a server crashes and comes back."""
        move = self._request(dest)
        self.faulty_worker(dest, fault)
        return self._however_it_ends(move)

    def troubled(self, dest: Region, point: str, trouble: Trouble, *, lasts: float = 0.0) -> AppMigration:
        """A move that comes to the point, waits there until there is trouble, and goes on into it. The trouble lasts
        that many seconds, or until the move is over."""
        move = self._request(dest)
        self.faulty_worker(dest, f"pause@{point}")
        self._await((self.struck / f"pause@{point}").exists)
        with trouble():
            (self.struck / "go").touch()
            with suppress(AssertionError):
                wait_until(lambda: is_over(move), lasts)
        mended, before = time.monotonic(), progress_of(move)
        self._await(lambda: self._goes_on(move, before), _RESUMED_SECONDS)
        self.resumed_after.append(time.monotonic() - mended)
        return self._however_it_ends(move)

    def _goes_on(self, move: AppMigration, before: tuple[int, str]) -> bool:
        """Or waits for a person."""
        self.revive()
        with suppress(Error):
            return progress_of(move) != before or is_over(move) or is_held(move)
        connection.close()
        return False

    def _however_it_ends(self, move: AppMigration) -> AppMigration:
        """What is held is tried again, as a person would once the cause is gone. Then the worker ends."""

        def ended() -> bool:
            self.revive()
            if is_held(move):
                actions.retry(move_id=move.pk, acting_user=None, reason="it is back")
            return is_over(move)

        self._await(lambda: patiently(ended), 2 * _ENDED_SECONDS)
        self.end(self.running[-1])
        move.refresh_from_db()
        self.app.refresh_from_db()
        self.check()
        return move

    def moves_all_the_same(self, one: Region, other: Region) -> bool:
        """Whether a move to where the app is not came through, while the portal's database comes and goes."""
        patiently(lambda: self.app.refresh_from_db())
        dest = one if self.app.region == other else other

        def ask() -> None:
            with suppress(Refused):  # it was asked for already, and the answer was lost
                self._request(dest)

        def is_under_way() -> bool:
            for move in AppMigration.objects.filter(app=self.app, status__in=ACTIVE):
                if move.status == Status.HELD:
                    actions.retry(move_id=move.pk, acting_user=None, reason="it is back")
                return True
            return False

        patiently(ask)
        give_up_at = time.monotonic() + 2 * _ENDED_SECONDS
        while patiently(is_under_way):
            assert time.monotonic() < give_up_at, "the move stands still"
            self.revive()
            time.sleep(0.1)
        patiently(lambda: self.app.refresh_from_db())
        return self.app.region == dest

    def tear_down(self, fault: str = "") -> None:
        replica = SourceReplica.objects.get(app=self.app, state=ReplicaState.RETAINED)
        actions.teardown(move_id=replica.migration_id, acting_user=None, reason="a test", confirm=self.app.slug)
        gone = SourceReplica.objects.filter(pk=replica.pk, state=ReplicaState.TORN_DOWN)
        with self._struck(replica.region, fault), self.worker(replica.region):
            wait_until(gone.exists, _ENDED_SECONDS)
        self.check()

    @contextmanager
    def _struck(self, region: Region, fault: str) -> Iterator[None]:
        """A worker that was struck by the fault; one that only stands still goes on standing there."""
        if not fault:
            yield
            return
        worker = self.faulty_worker(region, fault)
        self._await(lambda: self.has_struck(fault))
        if "stop@" in fault:
            worker.process.send_signal(signal.SIGSTOP)
        else:
            worker.end()
        yield
        self.end(worker)

    def _await(self, reached: Callable[[], Any], seconds: float = _ENDED_SECONDS) -> None:
        try:
            wait_until(reached, seconds)
        except AssertionError:
            move = AppMigration.objects.filter(app=self.app).latest("initiated_at")
            raise AssertionError(as_text(queries.move(move.pk, viewer=None))) from None

    # -- what has to hold ---------------------------------------------------------------------------------------

    def check(self) -> None:
        """After a terminal state: writes are taken, in one region only; nothing is left over; the trail is whole."""
        acknowledged = self.traffic.snapshot().acknowledged
        wait_until(lambda: self.traffic.snapshot().acknowledged > acknowledged + 2, 30)
        assert not self.sampler.both, f"two regions took writes at {self.sampler.both}"
        found = orphans.find(self.app)
        assert not found.orphans, found.orphans
        assert not found.unreachable
        assert not audit.verify().problems

    def longest_block(self) -> float:
        """Seconds; begins to count anew."""
        longest, self.sampler.longest_block = self.sampler.longest_block, 0.0
        return longest

    def audit(self) -> str:
        ledger = self.traffic.stop()
        found = audited(self.app, ledger)
        assert found.ok, found
        return f"{len(ledger.acknowledged)} writes acknowledged, none lost or doubled; {self.sampler.samples} samples"


@contextmanager
def scene(app: App, book: GuestBook, regions: dict[str, Region]) -> Iterator[Scene]:
    """With the first two regions, a reconciler, and traffic that never stops."""
    redis_url = settings.REDIS_URL.rpartition("/")[0] + "/8"  # what others ring for is not for our workers
    redis.from_url(redis_url).flushdb()
    database = connection.settings_dict["NAME"]
    env = {
        **os.environ,
        **ENV,
        "DATABASE_URL": os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{database}",
        "REDIS_URL": redis_url,
        "MOVES_WORK_DIR": str(settings.MOVES_WORK_DIR),
    }
    password = (book.secrets / f"{book.name}.password").read_text().strip()
    both = [regions["us-east-1"], regions["eu-west-1"]]
    targets = {
        region.slug: make_conninfo(region.database, dbname=book.name, user=book.name, password=password)
        for region in both
    }
    traffic = Traffic(settings.EDGE_PUBLIC_URLS[0], app.hostname, readers=1, writers=2)
    with Sampler(targets) as sampler, traffic, TemporaryDirectory() as marks:
        stage = Scene(app, book, env, traffic, sampler, Path(marks))
        try:
            stage.start("manage.py", "reconcile")
            yield stage
        finally:
            stage.end_all()


def _is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


def patiently(ask: Callable[[], T]) -> T:
    """Asks again until the portal's database answers."""
    while True:
        try:
            return ask()
        except (OperationalError, InterfaceError):
            connection.close()
            time.sleep(0.1)


def token_of(move: AppMigration) -> int:
    return AppMigration.objects.values_list("fencing_token", flat=True).get(pk=move.pk)


def progress_of(move: AppMigration) -> tuple[int, str]:
    """Changes whenever something is done."""
    row = AppMigration.objects.get(pk=move.pk)
    return row.step_runs.exclude(ended_at=None).count(), row.status


def is_held(move: AppMigration) -> bool:
    return AppMigration.objects.filter(pk=move.pk, status=Status.HELD).exists()


def is_over(move: AppMigration) -> bool:
    return AppMigration.objects.filter(pk=move.pk, status__in=TERMINAL).exists()

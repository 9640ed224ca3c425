"""The stage for crashes: the guest book under traffic, real workers, a real reconciler, and what has to hold after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import psutil
import redis
from django.conf import settings
from django.db import connection
from psycopg.conninfo import make_conninfo

from migrations_app import actions, audit, orphans, queries
from migrations_app.management.watch import as_text
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.states import TERMINAL, ReplicaState, Status
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


@dataclass
class Scene:
    app: App
    book: GuestBook
    env: dict[str, str]
    traffic: Traffic
    sampler: Sampler
    marks: Path
    """What faults have struck is marked below it."""

    struck: Path = Path()
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    resumed_after: list[float] = field(default_factory=list)
    """Seconds from the start of a sound worker until it has the move, the end of the lease included."""

    # -- processes ----------------------------------------------------------------------------------------------

    def start(self, *command: str, **env: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=CHECKOUT, env={**self.env, **env}, stdout=subprocess.DEVNULL
        )
        self.running.append(process)
        return process

    @contextmanager
    def worker(self, region: Region) -> Iterator[subprocess.Popen[bytes]]:
        worker = self.start("manage.py", "work", region.slug)
        try:
            yield worker
        finally:
            end(worker)

    def faulty_worker(self, region: Region, fault: str) -> subprocess.Popen[bytes]:
        self.struck = Path(mkdtemp(dir=self.marks))
        return self.start("-m", "tests.crashes.faults", region.slug, FAULT=fault, FAULT_STRUCK=str(self.struck))

    def has_struck(self, fault: str) -> bool:
        """Every fault of the list, and the process struck last is dead or stands still."""
        marks = [self.struck / each for each in fault.split(",")]
        if not all(mark.exists() and mark.read_text() for mark in marks):
            return False
        return not _is_running(int(marks[-1].read_text()))

    def end_all(self) -> None:
        for process in self.running:
            end(process)

    # -- what happens -------------------------------------------------------------------------------------------

    def to(self, dest: Region, fault: str, *, ends: Status = Status.COMPLETED) -> AppMigration:
        """A move, or the reverse of the last one: a worker does it with a fault, another one goes on."""
        return self._with_fault(dest, fault, self._request(dest), ends)

    def _request(self, dest: Region) -> AppMigration:
        replica = SourceReplica.objects.filter(app=self.app, state=ReplicaState.RETAINED).first()
        if replica:
            return actions.reverse(move_id=replica.migration_id, acting_user=None, reason="a test")
        return actions.request_move(app_slug=self.app.slug, dest_slug=dest.slug, acting_user=None, reason="a test")

    def _with_fault(self, dest: Region, fault: str, move: AppMigration, ends: Status) -> AppMigration:
        with self._struck(dest, fault):
            began, token = time.monotonic(), token_of(move)
            with self.worker(dest):
                wait_until(lambda: token_of(move) > token or is_over(move), _RESUMED_SECONDS)
                self.resumed_after.append(time.monotonic() - began)
                await_end(move)
        move.refresh_from_db()
        assert move.status == ends, as_text(queries.move(move.pk, viewer=None))
        self.check()
        return move

    def with_a_server_lost(self, dest: Region, fault: str) -> AppMigration:
        """A move while a server crashes and comes back. However it ends; what is held is tried again."""
        move = self._request(dest)
        self.faulty_worker(dest, fault)

        def ended() -> bool:
            if AppMigration.objects.filter(pk=move.pk, status=Status.HELD).exists():
                actions.retry(move_id=move.pk, acting_user=None, reason="it is back")
            return is_over(move)

        try:
            wait_until(ended, 2 * _ENDED_SECONDS)
        except AssertionError:
            raise AssertionError(as_text(queries.move(move.pk, viewer=None))) from None
        end(self.running.pop())
        move.refresh_from_db()
        self.app.refresh_from_db()
        self.check()
        return move

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
        wait_until(lambda: self.has_struck(fault), _ENDED_SECONDS)
        if "stop@" in fault:
            worker.send_signal(signal.SIGSTOP)
        else:
            end(worker)
        yield
        end(worker)

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


def token_of(move: AppMigration) -> int:
    return AppMigration.objects.values_list("fencing_token", flat=True).get(pk=move.pk)


def await_end(move: AppMigration) -> None:
    try:
        wait_until(lambda: is_over(move), _ENDED_SECONDS)
    except AssertionError:
        raise AssertionError(as_text(queries.move(move.pk, viewer=None))) from None


def is_over(move: AppMigration) -> bool:
    return AppMigration.objects.filter(pk=move.pk, status__in=TERMINAL).exists()


def end(process: subprocess.Popen[bytes]) -> None:
    """With all it has started."""
    if process.poll() is None:
        for left in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                left.kill()
        process.kill()
    process.wait()

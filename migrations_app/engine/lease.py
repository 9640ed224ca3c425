"""The sole right to work on a row, for a while.

Claiming is one compare-and-set update by the database's clock; it raises the fencing token, so a runner that lost its
lease finds its writes refused. A keeper thread renews the lease and looks whether somebody wants the move aborted; its
session holds an advisory lock, which shows that the process is there, whatever became of its lease. A second thread,
which speaks to nobody, ends the process when the runner does not let go though it has to: then another one can go on
(docs/decisions/0012).
"""

from __future__ import annotations

import math
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

import structlog
from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from migrations_app.dataplane.process_table import started_at
from migrations_app.dataplane.runner import Runner, working
from migrations_app.engine import stopping
from migrations_app.errors import HandedBack, LeaseLost
from migrations_app.models.lease import Leased
from migrations_app.states import Status

log = structlog.get_logger()
T = TypeVar("T", bound=Leased)

_LOOK_SECONDS = 0.5
_RELEASE_SECONDS = 600
_LOCK = 0x6D6F7665
"""'move': keeps clear of other advisory locks."""

_HOLDS_LOCK = """
SELECT EXISTS (SELECT FROM pg_locks JOIN pg_database d ON d.oid = database
 WHERE locktype = 'advisory' AND granted AND datname = current_database() AND objsubid = 2
   AND classid::bigint = %s AND objid::bigint = hashtext(%s)::bigint & 4294967295)
"""


def now() -> float:
    """Seconds on a clock that only counts, and goes on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def free_and_due() -> Q:
    """Rows that may be claimed now, by the database's clock."""
    return (Q(lease_expires_at__isnull=True) | Q(lease_expires_at__lt=Now())) & (
        Q(due_at__isnull=True) | Q(due_at__lte=Now())
    )


@dataclass
class Lease(Generic[T]):
    """What a runner holds: the row's key, its fencing token, and what its keeper thread has seen."""

    rows: QuerySet[T]
    pk: Any
    name: str
    """What the row is called in marks and locks: the move's id."""
    token: int
    previous_owner: str
    """Who had the row and did not give it back, as owner() words it."""
    previous_is_alive: bool
    """It still has its session, though no lease."""
    renewed_at: float = field(default_factory=now)
    taken_over: threading.Event = field(default_factory=threading.Event)
    limit_at: float = math.inf
    """Time, as now() has it, by which the runner has to be done with what it does, or to have let go of it."""
    abort_at: float = math.inf
    """Time, as now() has it, at which an abort was seen; inf: nobody wants one."""
    undoing: bool = False
    """The runner heeds it."""
    notes: list[str] = field(default_factory=list)
    """What was found of earlier runners and ended, a sentence each."""

    @property
    def previous_owner_died(self) -> bool:
        """Or fell silent."""
        return bool(self.previous_owner)

    @property
    def runner(self) -> Runner:
        return Runner(row=self.name, token=self.token, lost=lambda: self.lost, note=self.note)

    @property
    def lost(self) -> bool:
        """Another runner has the row, or may have: the lease was not renewed in time, whatever its keeper hangs in."""
        return self.taken_over.is_set() or now() - self.renewed_at > settings.MOVES_LEASE_SECONDS

    def check(self, *, blocked: bool = False) -> None:
        """LeaseLost, or HandedBack when this process is to stop. `blocked`: the app's writes are, so rather finish."""
        if self.lost:
            raise LeaseLost
        if stopping.is_wanted(blocked=blocked):
            raise HandedBack

    @property
    def abort_wanted(self) -> bool:
        return self.abort_at < math.inf

    @property
    def hangs(self) -> bool:
        """The runner had to let go a whole lease ago, and has not: it waits for what never comes."""
        abort_at = math.inf if self.undoing else self.abort_at
        had_to = min(self.limit_at, abort_at, self.renewed_at + settings.MOVES_LEASE_SECONDS)
        return had_to < now() - settings.MOVES_LEASE_SECONDS

    def note(self, text: str) -> None:
        log.warning("lease.predecessor", row=self.name, token=self.token, ended=text)
        self.notes.append(text)

    @property
    def mine(self) -> QuerySet[T]:
        """The row, if this lease still counts."""
        return self.rows.filter(pk=self.pk, fencing_token=self.token)

    def write(self, **fields: Any) -> None:
        """Update the row; LeaseLost if another runner has claimed it meanwhile."""
        if self.mine.update(**fields) != 1:
            raise LeaseLost

    def release(self, **fields: Any) -> None:
        """Give the row back, if it is still this runner's. Waits for the portal's database."""
        give_up_at = now() + _RELEASE_SECONDS
        while True:
            try:
                self.mine.update(lease_owner="", lease_expires_at=None, **fields)
                return
            except (OperationalError, InterfaceError):
                connection.close()
                if now() > give_up_at:
                    raise
                time.sleep(_LOOK_SECONDS)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the lease alive in a thread while the body runs, and act in the regions as its runner."""
        stop = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(stop,), name="lease-keeper", daemon=True)
        guard = threading.Thread(target=self._guard, args=(stop,), name="lease-guard", daemon=True)
        with ExitStack() as undo:
            undo.callback(_sign_off)
            self._sign_on()
            undo.enter_context(working(self.runner))
            undo.callback(keeper.join)
            undo.callback(stop.set)
            keeper.start()
            guard.start()
            yield

    def _guard(self, stop: threading.Event) -> None:
        while not stop.wait(_LOOK_SECONDS):
            if self.hangs:
                log.error("lease.runner_hangs", row=self.name, token=self.token)
                os.kill(os.getpid(), signal.SIGKILL)  # its subprocesses die with it

    def _sign_on(self) -> None:
        """Let this thread's session be known by its name, and end in the server if it stops in a transaction: the next
        runner would wait for its locks."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT set_config('application_name', %s, false), "
                "set_config('idle_in_transaction_session_timeout', %s, false)",
                [self.runner.session_name, f"{settings.MOVES_LEASE_SECONDS * 1000:.0f}"],
            )

    def _lock(self) -> bool:
        """Show that this process is there. False while an earlier one still does."""
        self._sign_on()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_lock(%s, hashtext(%s))", [_LOCK, self.name])
            return bool(cursor.fetchone()[0])

    def _keep(self, stop: threading.Event) -> None:
        locked = False
        try:
            while not self.lost:
                began = now()
                try:
                    locked = locked or self._lock()
                    if began - self.renewed_at >= settings.MOVES_BEAT_SECONDS and self.mine.update(
                        lease_expires_at=_expiry()
                    ):
                        self.renewed_at = began
                    row = self.rows.filter(pk=self.pk).values("fencing_token", *self._status_field()).first()
                except Error as error:
                    log.warning("lease.keeper_cannot_reach_database", error=type(error).__name__)
                    connection.close()
                    locked = False
                else:
                    self._take_in(row)
                if stop.wait(_LOOK_SECONDS):
                    return
        finally:
            connection.close()

    def _take_in(self, row: dict[str, Any] | None) -> None:
        if row is None or row["fencing_token"] != self.token:
            self.limit_at = min(self.limit_at, now())
            self.taken_over.set()
        elif row.get("status") == Status.ABORTING:
            self.abort_at = min(self.abort_at, now())

    def _status_field(self) -> list[str]:
        return ["status"] if hasattr(self.rows.model, "status") else []


def claim(rows: QuerySet[T], pk: Any, *, named_by: str = "pk") -> Lease[T] | None:
    """Claim the row if it is in `rows`, due, and free; None otherwise. `named_by`: the field that holds a move's id."""
    asked_at = now()
    previous, name = rows.filter(pk=pk).values_list("lease_owner", named_by).first() or ("", "")
    claimed = (
        rows.filter(free_and_due(), pk=pk)
        .filter(lease_owner=previous)
        .update(
            lease_owner=owner(),
            lease_expires_at=_expiry(),
            fencing_token=F("fencing_token") + 1,
        )
    )
    if not claimed:
        return None
    every_row: QuerySet[T] = rows.model._default_manager.all()
    token = every_row.values_list("fencing_token", flat=True).get(pk=pk)
    return Lease(
        rows=every_row,
        pk=pk,
        name=str(name),
        token=token,
        previous_owner=previous,
        previous_is_alive=bool(previous) and is_alive(str(name)),
        renewed_at=asked_at,
    )


def owner() -> str:
    """This process: its host, its id, and when it started, for ids are used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{started_at(os.getpid())}"[:100]


def is_alive(name: str) -> bool:
    """Whether a process still shows that it works on the row, with a lease or without."""
    with connection.cursor() as cursor:
        cursor.execute(_HOLDS_LOCK, [_LOCK, name])
        return bool(cursor.fetchone()[0])


def _expiry() -> Any:
    return Now() + timedelta(seconds=settings.MOVES_LEASE_SECONDS)


def _sign_off() -> None:
    with suppress(Error), connection.cursor() as cursor:
        cursor.execute("RESET application_name")
        cursor.execute("RESET idle_in_transaction_session_timeout")

"""The sole right to work on a row, for a while.

Claiming is one compare-and-set update by the database's clock; it raises the fencing token, so a runner that lost its
lease finds its writes refused. A keeper thread renews the lease and looks whether somebody wants the move aborted.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Generic, TypeVar

import structlog
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from migrations_app.errors import LeaseLost
from migrations_app.models.lease import Leased
from migrations_app.states import Status

log = structlog.get_logger()
T = TypeVar("T", bound=Leased)

_LOOK_SECONDS = 0.5


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
    token: int
    previous_owner_died: bool
    renewed_at: float = field(default_factory=time.monotonic)
    taken_over: threading.Event = field(default_factory=threading.Event)
    abort_wanted: threading.Event = field(default_factory=threading.Event)

    @property
    def lost(self) -> bool:
        """Another runner has the row, or may have: the lease was not renewed in time, whatever its keeper hangs in."""
        return self.taken_over.is_set() or time.monotonic() - self.renewed_at > settings.MOVES_LEASE_SECONDS

    @property
    def mine(self) -> QuerySet[T]:
        """The row, if this lease still counts."""
        return self.rows.filter(pk=self.pk, fencing_token=self.token)

    def write(self, **fields: Any) -> None:
        """Update the row; LeaseLost if another runner has claimed it meanwhile."""
        if self.mine.update(**fields) != 1:
            raise LeaseLost

    def release(self, **fields: Any) -> None:
        self.mine.update(lease_owner="", lease_expires_at=None, **fields)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep the lease alive in a thread while the body runs."""
        stop = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(stop,), name="lease-keeper", daemon=True)
        keeper.start()
        try:
            yield
        finally:
            stop.set()
            keeper.join()

    def _keep(self, stop: threading.Event) -> None:
        try:
            while not stop.wait(_LOOK_SECONDS) and not self.lost:
                now = time.monotonic()
                try:
                    if now - self.renewed_at >= settings.MOVES_BEAT_SECONDS and self.mine.update(
                        lease_expires_at=_expiry()
                    ):
                        self.renewed_at = now
                    row = self.rows.filter(pk=self.pk).values("fencing_token", *self._status_field()).first()
                except DatabaseError as error:
                    log.warning("lease.keeper_cannot_reach_database", error=type(error).__name__)
                    connection.close()
                    continue
                if row is None or row["fencing_token"] != self.token:
                    self.taken_over.set()
                elif row.get("status") == Status.ABORTING:
                    self.abort_wanted.set()
        finally:
            connection.close()

    def _status_field(self) -> list[str]:
        return ["status"] if hasattr(self.rows.model, "status") else []


def claim(rows: QuerySet[T], pk: Any) -> Lease[T] | None:
    """Claim the row if it is in `rows`, due, and free; None otherwise."""
    asked_at = time.monotonic()
    previous = rows.filter(pk=pk).values_list("lease_owner", flat=True).first()
    claimed = (
        rows.filter(free_and_due(), pk=pk)
        .filter(lease_owner=previous or "")
        .update(
            lease_owner=f"{socket.gethostname()}:{os.getpid()}"[:100],
            lease_expires_at=_expiry(),
            fencing_token=F("fencing_token") + 1,
        )
    )
    if not claimed:
        return None
    every_row: QuerySet[T] = rows.model._default_manager.all()
    token = every_row.values_list("fencing_token", flat=True).get(pk=pk)
    return Lease(rows=every_row, pk=pk, token=token, previous_owner_died=bool(previous), renewed_at=asked_at)


def _expiry() -> Any:
    return Now() + timedelta(seconds=settings.MOVES_LEASE_SECONDS)

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
    """What a runner holds: the row's key, its fencing token, and two flags that its keeper thread raises."""

    rows: QuerySet[T]
    pk: Any
    token: int
    previous_owner_died: bool
    lost: threading.Event = field(default_factory=threading.Event)
    abort_wanted: threading.Event = field(default_factory=threading.Event)

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
        renewed_at = time.monotonic()
        try:
            while not stop.wait(_LOOK_SECONDS):
                now = time.monotonic()
                if now - renewed_at > settings.MOVES_LEASE_SECONDS:
                    self.lost.set()  # it ran out while the database was away: another runner may have it
                    return
                try:
                    if now - renewed_at >= settings.MOVES_BEAT_SECONDS:
                        self.mine.update(lease_expires_at=_expiry())
                        renewed_at = now
                    row = self.rows.filter(pk=self.pk).values("fencing_token", *self._status_field()).first()
                except DatabaseError as error:
                    log.warning("lease.keeper_cannot_reach_database", error=type(error).__name__)
                    connection.close()
                    continue
                if row is None or row["fencing_token"] != self.token:
                    self.lost.set()
                elif row.get("status") == Status.ABORTING:
                    self.abort_wanted.set()
        finally:
            connection.close()

    def _status_field(self) -> list[str]:
        return ["status"] if hasattr(self.rows.model, "status") else []


def claim(rows: QuerySet[T], pk: Any) -> Lease[T] | None:
    """Claim the row if it is in `rows`, due, and free; None otherwise."""
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
    return Lease(rows=every_row, pk=pk, token=token, previous_owner_died=bool(previous))


def _expiry() -> Any:
    return Now() + timedelta(seconds=settings.MOVES_LEASE_SECONDS)

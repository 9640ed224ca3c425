"""Looks after rows that are due and that nobody works on. Safe to run more than once at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import structlog
from django.db import connection, transaction
from django.db.models.functions import Now

from migrations_app import approvals, bell
from migrations_app.clock import database_now
from migrations_app.engine.journal import blocked_too_long
from migrations_app.engine.lease import free_and_due
from migrations_app.engine.unworked import due_moves, due_teardowns, look_for_workers, redis_answers
from migrations_app.errors import Refused
from migrations_app.models import AppMigration, Heartbeat
from migrations_app.states import Status
from migrations_app.transitions import change_status

log = structlog.get_logger()

HEARTBEAT = "reconciler"


def one_round() -> int:
    """How many rows were rung for. Each part is done whatever becomes of the others."""
    rung = 0
    with going_on("abort_overdue"):
        abort_overdue()
    with going_on("expire_overdue"):
        expire_overdue()
    with going_on("ring_due"):
        if redis_answers():
            rung = ring_due()
            look_for_workers()
    Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": Now()})
    return rung


@contextmanager
def going_on(part: str, **about: object) -> Iterator[None]:
    """What goes wrong inside is logged, and the round goes on; unless the portal's database has gone away."""
    try:
        yield
    except Exception:
        log.exception("reconciler.failed", part=part, **about)
        if connection.connection is None or not connection.is_usable():
            raise


def abort_overdue() -> int:
    """Abort moves that keep writes blocked past their budget and that no runner looks after, held ones too."""
    now, aborted = database_now(), 0
    blocked = AppMigration.objects.filter(
        free_and_due(),
        status__in=[Status.RUNNING, Status.HELD],
        ends_as="",  # else it is held in its undoing, and writes stay blocked for what that stumbled over
        pivot_at__isnull=True,
        writes_unblocked_at__isnull=True,
        writes_blocked_at__isnull=False,
    )
    for move in blocked:
        if (move.writes_blocked_at or now) + timedelta(seconds=move.block_budget) > now:
            continue
        with going_on("abort_overdue", move=str(move.pk)), suppress(Refused), transaction.atomic():
            change_status(
                move, Status.ABORTING, verb="abort", reason=blocked_too_long(move.block_budget), ends_as=Status.ABORTED
            )
            aborted += 1
    return aborted


def expire_overdue() -> int:
    """Close what nobody decided on, or began, in time; how many."""
    expired = 0
    for approval in approvals.overdue():
        with going_on("expire_overdue", approval=approval.pk):
            expired += approvals.expire(approval)
    return expired


def ring_due() -> int:
    """Ring for every row that is due and that nobody works on; how many."""
    rung = 0
    for move_id, region in due_moves().values_list("pk", "dest_region__slug"):
        rung += bell.ring(bell.RUN_MOVE, move_id, region)
    for replica_id, region in due_teardowns().values_list("pk", "region__slug"):
        rung += bell.ring(bell.RUN_TEARDOWN, replica_id, region)
    return rung

"""Looks after rows that are due and that nobody works on. Safe to run more than once at a time."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from django.db import transaction

from migrations_app import bell
from migrations_app.approvals import expire_overdue
from migrations_app.clock import database_now
from migrations_app.engine.journal import blocked_too_long
from migrations_app.engine.lease import free_and_due
from migrations_app.errors import Refused
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import WORKED, ReplicaState, Status
from migrations_app.transitions import change_status


def one_round() -> int:
    """How many rows were rung for."""
    abort_overdue()
    expire_overdue()
    return ring_due()


def abort_overdue() -> int:
    """Abort moves that keep writes blocked past their budget and that no runner looks after, held ones too."""
    now, aborted = database_now(), 0
    blocked = AppMigration.objects.filter(
        free_and_due(),
        status__in=[Status.RUNNING, Status.HELD],
        pivot_at__isnull=True,
        writes_unblocked_at__isnull=True,
        writes_blocked_at__isnull=False,
    )
    for move in blocked:
        if not move.writes_blocked_at or move.writes_blocked_at + timedelta(seconds=move.block_budget) > now:
            continue
        with suppress(Refused), transaction.atomic():
            change_status(
                move, Status.ABORTING, verb="abort", reason=blocked_too_long(move.block_budget), ends_as=Status.ABORTED
            )
            aborted += 1
    return aborted


def ring_due() -> int:
    """Ring for every row that is due and that nobody works on; how many."""
    rung = 0
    moves = AppMigration.objects.filter(free_and_due(), status__in=WORKED)
    for move_id, region in moves.values_list("pk", "dest_region__slug"):
        rung += bell.ring(bell.RUN_MOVE, move_id, region)
    replicas = SourceReplica.objects.filter(free_and_due(), state=ReplicaState.TEARING_DOWN)
    for replica_id, region in replicas.values_list("pk", "region__slug"):
        rung += bell.ring(bell.RUN_TEARDOWN, replica_id, region)
    return rung

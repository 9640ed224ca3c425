"""Rings again for every row that is due and that nobody works on. Safe to run more than once at a time."""

from __future__ import annotations

from migrations_app import bell
from migrations_app.engine.lease import free_and_due
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import WORKED, ReplicaState


def ring_due() -> int:
    """One round; how many rows were rung for."""
    rung = 0
    moves = AppMigration.objects.filter(free_and_due(), status__in=WORKED)
    for move_id, region in moves.values_list("pk", "dest_region__slug"):
        rung += bell.ring(bell.RUN_MOVE, move_id, region)
    replicas = SourceReplica.objects.filter(free_and_due(), state=ReplicaState.TEARING_DOWN)
    for replica_id, region in replicas.values_list("pk", "region__slug"):
        rung += bell.ring(bell.RUN_TEARDOWN, replica_id, region)
    return rung

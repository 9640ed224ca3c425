"""The end of a move, written in one transaction: the replica on the books, the one it came from reversed."""

from __future__ import annotations

from django.db.models.functions import Now

from migrations_app.engine.journal import Journal
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import Kind, ReplicaState, Status
from migrations_app.transitions import change_replica_state, change_status, record


def complete(journal: Journal) -> None:
    if journal.row.kind == Kind.REHEARSAL:  # all went well, and nothing of it is to stay
        journal.change_status(Status.ABORTING, verb="rehearsed", ends_as=Status.COMPLETED)
        return
    with journal.locked() as move:
        leave_replica(move)
        change_status(move, Status.COMPLETED, verb="complete", last_error="", last_error_code="")


def leave_replica(move: AppMigration) -> None:
    """The source is a replica from now on; one that the move came back to serves again. In the caller's transaction."""
    if move.reverses:
        change_replica_state(move.reverses, ReplicaState.REVERSED, verb="reversed", ended_at=Now())
    SourceReplica.objects.create(
        migration=move,
        app_id=move.app_id,
        region_id=move.source_region_id,
        size_bytes=move.fact("replica_size_bytes", 0),
    )
    record("retain", migration=move, to_status=ReplicaState.RETAINED)

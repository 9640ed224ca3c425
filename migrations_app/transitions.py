"""Status changes and the audit trail: the two writes every surface and the engine share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now
from psycopg import errors

from migrations_app import origin, outbox
from migrations_app.errors import Blocker, PortalError, Refused, TransientError
from migrations_app.models import App, AppMigration, Approval, AuditEvent, SourceReplica, StepRun
from migrations_app.states import (
    MAY_WAIT,
    STARTS,
    TERMINAL,
    Act,
    ApprovalState,
    ReplicaState,
    RunStatus,
    Status,
    may_become,
)

CHANGED_MEANWHILE = Blocker("changed_meanwhile", "The move changed meanwhile.", "Look again, then decide.")


def explained(error: OperationalError | InterfaceError, *, hint: str) -> PortalError:
    """What the portal's own database says, in our words: a race that it ended is a change meanwhile; else it does not
    answer, or not in time, and `hint` says what to do then."""
    if isinstance(error.__cause__, errors.DeadlockDetected | errors.SerializationFailure):
        return Refused([CHANGED_MEANWHILE])
    return TransientError("The portal's database does not answer.", hint=hint, code="portal_database_away")


def record(
    verb: str,
    *,
    app: App | None = None,
    migration: AppMigration | None = None,
    target: str = "",
    actor: User | None = None,
    from_status: str = "",
    to_status: str = "",
    reason: str = "",
) -> None:
    """Put one event on the audit trail, and into the outbox for who subscribed to it, in the caller's transaction.

    `target` names what is neither app nor move.
    """
    app = app or (migration.app if migration else None)
    here = origin.current()
    event = AuditEvent.objects.create(
        verb=verb,
        app=app,
        migration=migration,
        target=target or (f"move {migration}" if migration else f"app {app}" if app else ""),
        actor=actor,
        actor_name=actor.get_username() if actor else "",
        surface=here.surface,
        address=here.address,
        from_status=from_status,
        to_status=to_status,
        reason=reason,
    )
    outbox.put(event)


def change_status(
    move: AppMigration,
    to: Status,
    *,
    verb: str,
    actor: User | None = None,
    reason: str = "",
    **fields: Any,
) -> None:
    """Move a row along one edge of the table, by compare-and-set, with its audit event, in the caller's transaction.

    Raises Refused when the table has no such edge, or when somebody else changed the status meanwhile.
    """
    before = Status(move.status)
    if not may_become(before, to):
        raise Refused(
            [Blocker("no_such_transition", f"A move that is {before} cannot become {to}.", "Look again, then decide.")]
        )
    if to in TERMINAL:
        fields["completed_at"] = Now()
    changed = AppMigration.objects.filter(pk=move.pk, status=before).update(status=to, **fields)
    if changed != 1:
        raise Refused([CHANGED_MEANWHILE])
    record(verb, migration=move, actor=actor, from_status=before, to_status=to, reason=reason)
    if to in TERMINAL:
        StepRun.objects.filter(migration=move, status__in=[RunStatus.RUNNING, RunStatus.WAITING]).update(
            status=RunStatus.INTERRUPTED, ended_at=Now(), reason=f"The move ended: {verb}."
        )
    void_requests(move, [act for act in Act if to not in MAY_WAIT[act]], reason=f"The move is {to}.")
    move.refresh_from_db()


def change_replica_state(
    move: AppMigration, to: ReplicaState, *, verb: str, actor: User | None = None, reason: str = "", **fields: Any
) -> None:
    """Take the retained replica of a move to another state, as change_status() does with a move."""
    changed = SourceReplica.objects.filter(migration=move, state=ReplicaState.RETAINED).update(state=to, **fields)
    if changed != 1:
        raise Refused([Blocker("changed_meanwhile", "The replica changed meanwhile.", "Look again, then decide.")])
    void_requests(move, [Act.TEARDOWN], reason=f"The replica is {ReplicaState(to).label.lower()}.")
    record(verb, migration=move, actor=actor, from_status=ReplicaState.RETAINED, to_status=to, reason=reason)


def void_requests(move: AppMigration, acts: Iterable[Act], *, reason: str) -> None:
    """Close what waits for consent and has lost its point. A request to begin a move ends with its own transition."""
    for approval in Approval.objects.filter(migration=move, act__in=acts, state=ApprovalState.OPEN):
        closed = Approval.objects.filter(pk=approval.pk, state=ApprovalState.OPEN).update(
            state=ApprovalState.VOID, decided_at=Now()
        )
        if closed and approval.act not in STARTS:
            record("void_request", migration=move, reason=f"{approval.act}: {reason}")

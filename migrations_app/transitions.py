"""Status changes and the audit trail: the two writes every surface and the engine share."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models.functions import Now

from migrations_app.errors import Blocker, Refused
from migrations_app.models import App, AppMigration, AuditEvent
from migrations_app.states import TERMINAL, Status, may_become


def record(
    verb: str,
    *,
    app: App | None = None,
    migration: AppMigration | None = None,
    actor: User | None = None,
    from_status: str = "",
    to_status: str = "",
    reason: str = "",
) -> None:
    """Put one event on the audit trail, in the caller's transaction."""
    AuditEvent.objects.create(
        verb=verb,
        app=app or (migration.app if migration else None),
        migration=migration,
        actor=actor,
        from_status=from_status,
        to_status=to_status,
        reason=reason,
    )


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
        raise Refused([Blocker("no_such_transition", f"A move that is {before} cannot become {to}.")])
    if to in TERMINAL:
        fields["completed_at"] = Now()
    changed = AppMigration.objects.filter(pk=move.pk, status=before).update(status=to, **fields)
    if changed != 1:
        raise Refused([Blocker("changed_meanwhile", "The move changed meanwhile.", "Look again, then decide.")])
    record(verb, migration=move, actor=actor, from_status=before, to_status=to, reason=reason)
    move.refresh_from_db()

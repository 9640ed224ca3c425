"""What is done to a move that is on the books."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ninja import Router
from ninja.responses import Status as Answered

from migrations_app import actions, queries
from migrations_app.api import shapes
from migrations_app.api.gate import Request, acting
from migrations_app.api.lookup import move_of
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb
from migrations_app.states import Act

router = Router(tags=["Verbs"])

_MOVE = "/apps/{slug:app_id}/migrations/{uuid:migration_id}"
_NO_REASON, _NO_COMMENT, _NOTHING_SAID = shapes.Reasoned(), shapes.Consent(), shapes.Withdrawal()
_AT_ONCE_OR_LATER = {200: shapes.Begun, 202: shapes.Changed}


@router.post(f"{_MOVE}/abort", response=_AT_ONCE_OR_LATER)
def abort(
    request: Request, app_id: str, migration_id: UUID, wanted: shapes.Reasoned = _NO_REASON
) -> Answered[dict[str, Any]]:
    """Undo a move before its point of no return."""
    user = acting(request, Verb.ABORT)
    move = move_of(app_id, migration_id, user)
    return _changed(actions.abort(move_id=move.pk, reason=wanted.reason, acting_user=user), Act.ABORT)


@router.post(f"{_MOVE}/retry", response=_AT_ONCE_OR_LATER)
def retry(
    request: Request, app_id: str, migration_id: UUID, wanted: shapes.Reasoned = _NO_REASON
) -> Answered[dict[str, Any]]:
    """Let a held move go on."""
    user = acting(request, Verb.RETRY)
    move = move_of(app_id, migration_id, user)
    return _changed(actions.retry(move_id=move.pk, reason=wanted.reason, acting_user=user), Act.RETRY)


@router.post(f"{_MOVE}/reverse", response={202: shapes.Reversed})
def reverse(
    request: Request, app_id: str, migration_id: UUID, wanted: shapes.Reasoned = _NO_REASON
) -> Answered[dict[str, Any]]:
    """Bring the app back to where the move took it from, over the replica that was kept. Itself a move."""
    user = acting(request, Verb.REVERSE)
    move = move_of(app_id, migration_id, user)
    back = actions.reverse(move_id=move.pk, reason=wanted.reason, acting_user=user)
    return Answered(202, {"migrationId": back.pk, "migration_id": back.pk, "path": "fast"})


@router.post(f"{_MOVE}/approve", response=shapes.Begun)
def approve(request: Request, app_id: str, migration_id: UUID, given: shapes.Consent = _NO_COMMENT) -> dict[str, Any]:
    """Consent to what somebody else asked for."""
    user = acting(request, Verb.APPROVE)
    move = move_of(app_id, migration_id, user)
    return _brief(actions.approve(move_id=move.pk, seen=given.seen or "", comment=given.comment, acting_user=user))


@router.post(f"{_MOVE}/reject", response=shapes.Begun)
def reject(request: Request, app_id: str, migration_id: UUID, given: shapes.Rejection) -> dict[str, Any]:
    """Say no to what was asked for, and why."""
    user = acting(request, Verb.REJECT)
    move = move_of(app_id, migration_id, user)
    return _brief(actions.reject(move_id=move.pk, reason=given.reason, acting_user=user))


@router.post(f"{_MOVE}/withdraw", response=shapes.Begun)
def withdraw(
    request: Request, app_id: str, migration_id: UUID, wanted: shapes.Withdrawal = _NOTHING_SAID
) -> dict[str, Any]:
    """Take back what one asked for oneself, while it waits."""
    user = acting(request, Verb.WITHDRAW)
    move = move_of(app_id, migration_id, user)
    return _brief(actions.withdraw(move_id=move.pk, reason=wanted.reason, acting_user=user))


@router.post(f"{_MOVE}/comment", response=shapes.Begun)
def comment(request: Request, app_id: str, migration_id: UUID, said: shapes.Remark) -> dict[str, Any]:
    """Say something about the move, for all who look at it."""
    user = acting(request, Verb.COMMENT)
    move = move_of(app_id, migration_id, user)
    return _brief(actions.comment(move_id=move.pk, text=said.text, acting_user=user))


def _brief(move: AppMigration) -> dict[str, Any]:
    return {"migration_id": move.pk, "status": move.status}


def _changed(move: AppMigration, act: Act) -> Answered[dict[str, Any]]:
    if queries.waits_for_approval(move):
        return Answered(202, {**_brief(move), "awaiting_approval": act})
    return Answered(200, _brief(move))

"""The second person's word, and taking one's own back."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from migrations_app import approvals, permissions, queries, rules
from migrations_app.actions import steering
from migrations_app.actions.locks import given, refuse
from migrations_app.clock import database_now
from migrations_app.errors import Blocker, Refused
from migrations_app.models import AppMigration, Approval
from migrations_app.permissions import Verb
from migrations_app.preflight import look
from migrations_app.states import STARTS, Act, ApprovalState, Status, start_of
from migrations_app.transitions import CHANGED_MEANWHILE, change_status, record


def approve(*, move_id: UUID | str, acting_user: User | None, seen: str = "", comment: str = "") -> AppMigration:
    """Consent to what waits for approval about the move: the move itself, or the teardown of its replica.

    `seen` is the fingerprint of what the approver looked at; without it, of what was last on the books. Preflight runs
    once more: if what there is to see has changed, Refused says what, and nothing is approved.
    """
    move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.APPROVE, move)
    waiting = _waiting(move)
    refuse(rules.forbids_approval(waiting, move, database_now(), acting_user))
    findings = look(move) if move.status == Status.AWAITING_APPROVAL else []
    with transaction.atomic():
        move, approval = _locked(move, waiting)
        refuse(rules.forbids_approval(approval, move, database_now(), acting_user))
        act = Act(approval.act)
        refuse(steering.forbids(act, move))
        changed = _refresh(move, approval, findings, seen or waiting.fingerprint)
        if not changed:
            refuse(rules.forbids_by_preflight(findings))
            expires_at = approvals.valid_until(move) if act in STARTS else approval.expires_at
            approvals.close(
                approval, ApprovalState.APPROVED, by=acting_user, comment=comment.strip(), expires_at=expires_at
            )
            steering.do(act, move, verb="approve", actor=acting_user, reason=comment.strip())
    if changed:
        raise Refused(
            [Blocker("changed_since_seen", f"{changed[0].upper()}{changed[1:]} changed.", "Look again, then decide.")]
        )
    return move


def look_again(*, move_id: UUID | str, acting_user: User | None) -> tuple[AppMigration, Approval | None]:
    """Run preflight once more for a move that waits for approval, so that whoever approves it sees how things are: the
    move, and what waits about it, as they are together. None if it does not wait to begin."""
    move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.APPROVE, move)
    if move.status != Status.AWAITING_APPROVAL:
        return move, None
    findings = look(move)
    with transaction.atomic():
        move = steering.lock_for(start_of(move.kind), move)
        approval = _waiting(move)
        _refresh(move, approval, findings, approval.fingerprint)
    return move, approval


def reject(*, move_id: UUID | str, acting_user: User | None, reason: str) -> AppMigration:
    """Say no to what waits for approval about the move, and why."""
    move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.REJECT, move)
    reason = given(reason, "a rejection")
    with transaction.atomic():
        move, approval = _locked(move, _waiting(move))
        refuse(rules.forbids_decision(approval, move, database_now()))
        _decline(move, approval, ApprovalState.REJECTED, "reject", acting_user, reason)
    return move


def withdraw(*, move_id: UUID | str, acting_user: User | None, reason: str = "") -> AppMigration:
    """Take one's own request back while it waits for approval."""
    move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.WITHDRAW, move)
    with transaction.atomic():
        move, approval = _locked(move, _waiting(move))
        refuse(rules.forbids_withdrawal(approval, move, database_now(), acting_user))
        _decline(move, approval, ApprovalState.WITHDRAWN, "withdraw", acting_user, reason.strip())
    return move


def _waiting(move: AppMigration) -> Approval:
    """What waits for approval about the move. Refused if nothing does."""
    approval = approvals.open_of(move)
    if approval is None:
        raise Refused(rules.forbids_decision(None, move, database_now()))
    return approval


def _locked(move: AppMigration, waiting: Approval) -> tuple[AppMigration, Approval]:
    """The move and what waits about it, with the rows locked that the act changes. Refused if other than before."""
    move = steering.lock_for(Act(waiting.act), move)
    approval = _waiting(move)
    if approval.pk != waiting.pk:
        raise Refused([CHANGED_MEANWHILE])
    return move, approval


def _refresh(move: AppMigration, approval: Approval, findings: list[dict[str, str]], seen: str) -> str:
    """Bring what is to be approved up to date; in words, what is different from what was seen."""
    subject = approvals.subject_of(move, Act(approval.act), findings)
    fingerprint = approvals.fingerprint(subject)
    if findings != move.preflight and approval.act in STARTS:
        AppMigration.objects.filter(pk=move.pk).update(preflight=findings)
        move.preflight = findings
    if fingerprint == seen:
        return ""
    changed = approvals.differences(approval.subject, subject) or "what you saw"
    Approval.objects.filter(pk=approval.pk).update(subject=subject, fingerprint=fingerprint)
    approval.subject, approval.fingerprint = subject, fingerprint
    return changed


def _decline(
    move: AppMigration, approval: Approval, state: ApprovalState, verb: str, actor: User | None, reason: str
) -> None:
    approvals.close(approval, state, by=actor, comment=reason)
    if approval.act in STARTS:
        change_status(move, Status.ABORTED, verb=verb, actor=actor, reason=reason)
    else:
        record(verb, migration=move, actor=actor, reason=f"{approval.act}: {reason}" if reason else approval.act)

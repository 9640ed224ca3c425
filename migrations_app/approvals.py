"""A second person's consent: what it is asked for, what it counts for, and how long.

The subject of an approval is everything that was looked at: the act, the app and both regions as they are on the
books, strategy, start time, and what preflight found. If any of it is different when the move is about to begin, the
consent does not count for that any more: it is void, and asked for anew.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from migrations_app import origin
from migrations_app.clock import database_now
from migrations_app.errors import Refused
from migrations_app.models import App, AppMigration, Approval, Region
from migrations_app.models.app import MOVED_FIELDS
from migrations_app.models.selecting import select
from migrations_app.states import STARTS, Act, ApprovalState, Status
from migrations_app.transitions import CHANGED_MEANWHILE, change_status, record, void_requests
from migrations_app.window import first_time_all_open

Findings = list[dict[str, Any]]

_REGION_FIELDS = ("slug", "database", "conn_from_regions", "blobs", "runtime_url", "runtime_path", "app_host")
_WORDS = {
    "act": "what is asked for",
    "app": "the app",
    "source_region": "the source region",
    "dest_region": "the destination region",
    "strategy": "the strategy",
    "not_before": "the start time",
    "block_budget": "how long writes may stay blocked",
    "findings": "what preflight finds",
}


def is_needed(act: str) -> bool:
    """Whether policy wants a second person for that, as it is asked for now."""
    if origin.current().is_token and not settings.MOVES_TOKENS_FOUR_EYES:
        return False
    return act in settings.MOVES_FOUR_EYES


def subject_of(move: AppMigration, act: Act, findings: Findings) -> dict[str, Any]:
    """What an approval of the act would be bound to, as it is on the books now."""
    app = App.objects.select_related("region").get(pk=move.app_id)
    regions = {
        region.pk: region for region in Region.objects.filter(pk__in=[move.source_region_id, move.dest_region_id])
    }

    def described(thing: App | Region, fields: tuple[str, ...]) -> dict[str, Any]:
        return {field: _plain(getattr(thing, field)) for field in fields}

    return {
        "act": str(act),
        "app": described(app, ("slug", *MOVED_FIELDS, "health_path")),
        "source_region": described(regions[move.source_region_id], _REGION_FIELDS),
        "dest_region": described(regions[move.dest_region_id], _REGION_FIELDS),
        "strategy": str(move.strategy),
        "not_before": _plain(move.not_before),
        "block_budget": move.block_budget_seconds,
        "findings": sorted(bound_to(f) for f in findings if f["outcome"] != "pass" and f.get("about") != ""),
    }


def bound_to(finding: dict[str, Any]) -> list[str]:
    """What of a finding an approval is bound to: no figure that changes by itself (preflight/finding.py)."""
    about = finding.get("about")
    return [finding.get("id") or finding["check"], finding["outcome"], finding["found"] if about is None else about]


def fingerprint(subject: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(subject, sort_keys=True).encode()).hexdigest()


def differences(before: dict[str, Any], after: dict[str, Any]) -> str:
    """In words, what of a subject has changed; empty: nothing."""
    return " and ".join(word for key, word in _WORDS.items() if before.get(key) != after.get(key))


def ask(move: AppMigration, act: Act, *, requested_by: User | None, reason: str, subject: dict[str, Any]) -> Approval:
    """Put a request for consent on the books, in the caller's transaction."""
    return Approval.objects.create(
        act=act,
        migration=move,
        requested_by=requested_by,
        reason=reason,
        subject=subject,
        fingerprint=fingerprint(subject),
        expires_at=Now() + timedelta(hours=settings.MOVES_REQUEST_HOURS),
    )


_OPEN = f"""
FROM migrations_app_approval AS approval LEFT JOIN auth_user AS person ON person.id = approval.requested_by_id
WHERE approval.migration_id = %(move)s AND approval.state = '{ApprovalState.OPEN}'
"""


def open_of(move: AppMigration) -> Approval | None:
    """What waits for a decision, with who asked for it."""
    for approval, person in select(_OPEN, {"move": move.pk}, approval=Approval, person=User):
        approval.migration, approval.requested_by = move, person
        return approval
    return None


def given_for_start(move: AppMigration) -> Approval | None:
    """The consent a move begins under; None where policy asked for none."""
    return Approval.objects.filter(migration=move, act__in=STARTS, state=ApprovalState.APPROVED).first()


def earliest_start(move: AppMigration, now: datetime) -> datetime | None:
    """When the move may begin: not before its time, nor while a window of its regions is shut; None: never.

    A reverse does not wait for windows: it brings safety.
    """
    since = max(now, move.not_before or now)
    if move.reverses_id:
        return since
    windows = [region.window for region in (move.source_region, move.dest_region) if region.window]
    return first_time_all_open(windows, since)


def close(
    approval: Approval, state: ApprovalState, *, by: User | None = None, comment: str = "", **fields: Any
) -> None:
    """Decide on an open approval by compare-and-set, in the caller's transaction; Refused if somebody else did."""
    changed = Approval.objects.filter(pk=approval.pk, state=ApprovalState.OPEN).update(
        state=state, decided_by=by, decided_at=Now(), comment=comment, **fields
    )
    if changed != 1:
        raise Refused([CHANGED_MEANWHILE])


def valid_until(move: AppMigration, now: datetime | None = None) -> datetime:
    """How long a consent given now counts: MOVES_APPROVAL_HOURS from the earliest start."""
    now = now or database_now()
    return (earliest_start(move, now) or now) + timedelta(hours=settings.MOVES_APPROVAL_HOURS)


def expire_if_overdue(move: AppMigration) -> bool:
    """Whether the consent the move would begin under has run out; the move is aborted then."""
    approval = given_for_start(move)
    return approval is not None and approval.expires_at < database_now() and expire(approval)


def void(move: AppMigration, *, reason: str, findings: Findings) -> None:
    """Send a queued move back for approval, in the caller's transaction: what was approved is no more."""
    approval = given_for_start(move)
    if approval is None:
        return
    Approval.objects.filter(pk=approval.pk).update(state=ApprovalState.VOID)
    # One request at a time, and rejecting the move comes to the same as the abort.
    void_requests(move, [Act.ABORT], reason="The move itself has to be approved again.")
    AppMigration.objects.filter(pk=move.pk).update(preflight=findings, retry_count=0, worker_deaths=0)
    change_status(move, Status.AWAITING_APPROVAL, verb="void_approval", reason=reason)
    ask(
        move,
        Act(approval.act),
        requested_by=approval.requested_by,
        reason=approval.reason,
        subject=subject_of(move, Act(approval.act), findings),
    )


def overdue() -> list[Approval]:
    """Requests nobody decided on in time, and consents whose move has not begun in time."""
    past = Approval.objects.filter(expires_at__lt=Now()).select_related("migration__app")
    waiting = past.filter(state=ApprovalState.OPEN)
    unused = past.filter(state=ApprovalState.APPROVED, act__in=STARTS, migration__status=Status.QUEUED)
    return [*waiting, *unused]


def expire(approval: Approval) -> bool:
    """Close an overdue one; False when somebody was faster."""
    was_given = approval.state == ApprovalState.APPROVED
    reason = "It was approved, but did not begin in time." if was_given else "Nobody decided on it in time."
    with suppress(Refused), transaction.atomic():
        # The move before its approval, as everybody locks them: the other way round, an abort and this would deadlock.
        move = AppMigration.objects.select_for_update(no_key=True).get(pk=approval.migration_id)
        changed = Approval.objects.filter(pk=approval.pk, state=approval.state).update(state=ApprovalState.EXPIRED)
        if changed and approval.act in STARTS:
            change_status(move, Status.ABORTED, verb="expire", reason=reason)
        elif changed:
            record("expire", migration=move, reason=f"{approval.act}: {reason}")
        return bool(changed)
    return False


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return str(value) if isinstance(value, Region) else value

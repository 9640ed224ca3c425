"""What waits for somebody else's approval, and what the approval would be bound to: as its fingerprint has it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from migrations_app import approvals, estimates
from migrations_app.dashboard.display import NOTHING, clock, link, markup, who
from migrations_app.models import App, AppMigration, Approval, AuditEvent, Region
from migrations_app.states import STARTS, Act, ApprovalState, Status, start_of

_THINGS = {"app": "The app", "source_region": "The source region", "dest_region": "The destination region"}
_FIELDS = [field.name for model in (App, Region) for field in model._meta.fields]


def asked_by(approval: Approval) -> str:
    return who(approval.requested_by.get_username() if approval.requested_by else None)


def time_limit(approval: Approval) -> tuple[str, datetime] | None:
    """What the time on the approval is the limit of; None: of nothing any more."""
    if approval.state == ApprovalState.OPEN:
        return "to be decided by", approval.expires_at
    if approval.state == ApprovalState.APPROVED and approval.act in STARTS:
        return ("valid until", approval.expires_at) if approval.migration.status == Status.QUEUED else None
    return None


def waits_sentence(approval: Approval, move: AppMigration) -> str:
    """Of a request about a move or its replica that changes nothing while it waits."""
    of = f"the replica in {move.source_region}" if approval.act == Act.TEARDOWN else f"this {move.kind}"
    return markup(
        "The {} of {} waits for approval: {} asked for it at {}. Nothing happens until somebody else approves it. "
        "It is to be decided by {}.",
        approval.act,
        of,
        asked_by(approval),
        clock(approval.requested_at),
        clock(approval.expires_at),
    )


def void_sentences(move: AppMigration) -> list[str]:
    """When and why earlier approvals of the move became void, the last first."""
    return [
        markup("An earlier approval of this {} became void at {}. {}", move.kind, clock(event.at), event.reason)
        for event in AuditEvent.objects.filter(migration=move, verb="void_approval").order_by("-id")
    ]


def facts_of(approval: Approval, move: AppMigration, now: datetime, *, to_approve: bool) -> list[tuple[str, Any]]:
    """What whoever decides has to know; `to_approve`: and what the approval would count for."""
    subject = approval.subject
    facts: list[tuple[str, Any]] = [
        ("act", subject["act"]),
        ("app", link(move.app, subject["app"]["slug"])),
        ("source region", link(move.source_region, subject["source_region"]["slug"])),
        ("destination region", link(move.dest_region, subject["dest_region"]["slug"])),
        ("strategy", " – ".join(filter(None, (subject["strategy"], move.strategy_reason)))),
        *([("expected", estimates.in_words(move.estimate))] if approval.act in STARTS and move.estimate else []),
        *(_times(approval, move, now) if approval.act in STARTS else []),
        ("asked for by", markup("{}, at {}", asked_by(approval), clock(approval.requested_at))),
        ("reason", approval.reason),
        ("to be decided by", clock(approval.expires_at)),
    ]
    if to_approve and approval.act in STARTS:
        facts.append(("the approval would be valid until", clock(approvals.valid_until(move, now))))
    return facts


def _times(approval: Approval, move: AppMigration, now: datetime) -> list[tuple[str, Any]]:
    wanted = approval.subject["not_before"] and datetime.fromisoformat(approval.subject["not_before"])
    earliest = approvals.earliest_start(move, now)
    facts = []
    if wanted and wanted > now and wanted != earliest:
        facts.append(("not before", clock(wanted)))
    windows = [] if move.reverses_id else [place for place in (move.source_region, move.dest_region) if place.window]
    if windows:
        facts.append(("maintenance windows", "; ".join(f"{place}: {place.window}" for place in windows)))
    if earliest is None:
        facts.append(("earliest start", "never: the maintenance windows of the two regions are never open together"))
    elif earliest > now:
        facts.append(("earliest start", clock(earliest)))
    return facts


def begins(move: AppMigration, now: datetime) -> dict[str, Any]:
    """When the move can begin: `at`, None for never; `at_once`, which may mean once it is approved; `windows`: what
    both regions say to that, `(region, window)`."""
    earliest = approvals.earliest_start(move, now)
    places = [] if move.reverses_id else [move.source_region, move.dest_region]
    return {
        "at": earliest,
        "at_once": earliest is not None and earliest <= now,
        "waits_for_approval": approvals.is_needed(start_of(move.kind)),
        "windows": [(place, place.window) for place in places if place.window],
    }


def _place(field: str) -> int:
    """Of a field in the order of the models: the database keeps none."""
    return _FIELDS.index(field) if field in _FIELDS else len(_FIELDS)


def bound_to(approval: Approval) -> list[dict[str, Any]]:
    """The app and both regions, every field that the approval is bound to: `title, fields: [(name, value)]`."""
    return [
        {
            "title": title,
            "fields": [
                (name.replace("_", " "), NOTHING if value in (None, "") else value)
                for name, value in sorted(approval.subject[key].items(), key=lambda item: _place(item[0]))
            ],
        }
        for key, title in _THINGS.items()
    ]

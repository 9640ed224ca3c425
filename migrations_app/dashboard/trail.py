"""What was asked, decided, said and done about a move, as rows."""

from __future__ import annotations

from typing import Any

from migrations_app import queries
from migrations_app.dashboard.consent import asked_by, time_limit
from migrations_app.dashboard.display import NOTHING, badge, clock
from migrations_app.models import AppMigration, Approval

_SURFACES = {
    "admin": "on the portal's pages",
    "command": "by a command",
    "api": "through the API",
    "mcp": "through an assistant",
    "worker": "as a worker",
    "reconciler": "as the reconciler",
    "sender": "as the sender",
}
"""How one uses the portal there, beside who does."""


def approvals_table(asked: list[Approval]) -> list[dict[str, Any]]:
    """A row for each request for consent, with what preflight had `findings` of when it was decided."""
    return [
        {
            "act": approval.act,
            "badge": badge(approval.state),
            "asked_by": asked_by(approval),
            "requested_at": clock(approval.requested_at),
            "reason": approval.reason,
            "decided_by": approval.decided_by.get_username() if approval.decided_by else "the portal",
            "decided_at": clock(approval.decided_at) if approval.decided_at else "",
            "comment": approval.comment,
            "limit": _limit(approval),
            "findings": [
                {"badge": badge(outcome), "check": check.replace("_", " "), "found": found}
                for check, outcome, found in approval.subject.get("findings", [])
            ],
        }
        for approval in asked
    ]


def _limit(approval: Approval) -> tuple[str, str]:
    limit = time_limit(approval)
    return (limit[0], clock(limit[1])) if limit else ("", NOTHING)


def trail(move: AppMigration) -> list[dict[str, Any]]:
    """What the audit trail says about it, the oldest first. What was asked for is not said again under who approved."""
    return [
        {
            "id": f"event-{event.number}",
            "at": clock(event.at),
            "who": event.actor_name or event.address or "the portal",
            "surface": _SURFACES.get(event.surface, event.surface),
            "verb": event.verb.replace("_", " "),
            "change": f"{event.from_status} → {event.to_status}" if event.from_status else event.to_status,
            "reason": "" if event.verb == "approve" and event.reason == move.reason else event.reason,
            "is_comment": event.verb == "comment",
        }
        for event in queries.events(move)
    ]

"""What is known about a move, as names and values."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from migrations_app import approvals, estimates
from migrations_app.dashboard.display import clock, link, markup, page_at, span, web_link, who
from migrations_app.dashboard.standing import blocked_for
from migrations_app.models import AppMigration
from migrations_app.states import ACTIVE, Kind, Status


def facts(move: AppMigration, now: datetime) -> list[tuple[str, Any]]:
    """Only what there is: nothing stands there empty."""
    strategy = "" if move.strategy == move.kind else f", {move.strategy}"
    why = f" – {move.strategy_reason}" if move.strategy_reason else ""
    before = move.pivot_at is None and move.status in ACTIVE and move.kind != Kind.REHEARSAL
    listed: list[tuple[str, Any]] = [
        ("app", link(move.app)),
        ("kind", f"{move.kind}{strategy}{why}"),
        ("reverses", _reversed(move)),
        ("reason", move.reason),
        ("ticket", web_link(move.ticket_url) if move.ticket_url else ""),
        ("asked for by", who(move.requested_by.get_username() if move.requested_by else None)),
        ("asked for at", clock(move.initiated_at)),
        ("begins", _begins(move, now)),
        ("expected", estimates.in_words(move.estimate) if move.estimate else ""),
        ("writes may be blocked", f"for {span(move.block_budget)}, then it aborts itself" if before else ""),
        ("writes blocked at", clock(move.writes_blocked_at) if move.writes_blocked_at else ""),
        ("blocked for", blocked_for(move)),
        ("switched at", clock(move.pivot_at) if move.pivot_at else ""),
        ("ended at", clock(move.completed_at) if move.completed_at else ""),
        ("worker", move.lease_owner),
        ("died on this step", f"{move.worker_deaths} workers" if move.worker_deaths else ""),
        ("last error's code", move.last_error_code),
        ("id", move.pk),
    ]
    return [(name, value) for name, value in listed if value]


def _reversed(move: AppMigration) -> str:
    """The move that it takes back, which went the other way."""
    if move.reverses_id is None:
        return ""
    page = page_at(AppMigration, move.reverses_id)
    return markup('<a href="{}">{} → {}</a>', page, move.dest_region, move.source_region)


def _begins(move: AppMigration, now: datetime) -> str:
    if move.status not in (Status.AWAITING_APPROVAL, Status.QUEUED):
        return ""
    starts = approvals.earliest_start(move, now)
    if starts is None:
        return "never: the maintenance windows of the two regions are never open together"
    return markup("{} at the earliest", clock(starts)) if starts > now else "as soon as possible"

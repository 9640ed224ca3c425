"""What a replica's page says before its figures: whether it is a way back, until when, and how far behind it was."""

from __future__ import annotations

from datetime import datetime
from math import ceil
from typing import Any

from django.contrib.auth.models import User

from migrations_app import approvals, queries
from migrations_app.clock import database_now
from migrations_app.dashboard.buttons import buttons_of
from migrations_app.dashboard.charts import FEWEST, Chart, Point
from migrations_app.dashboard.display import clock, link, log_of, route, size, tone_of
from migrations_app.dashboard.standing import notes_on
from migrations_app.dashboard.way_back import badge_of_replica, behind, lives_now, look_of, way_back
from migrations_app.models import SourceReplica
from migrations_app.permissions import Verb
from migrations_app.states import ReplicaState

_TOO_FEW = "It is measured every five minutes: a line needs three of them."
_MOST_POINTS = 40


def about(replica: SourceReplica, viewer: User) -> dict[str, Any]:
    """`badge, tone, way_back, lives_now, notes, buttons, facts, charts` (of its lag), `log` (of its teardown)."""
    move = replica.migration
    waiting, now = approvals.open_of(move), database_now()
    offers = queries.offers_about(move, waiting, now, user=viewer)
    return {
        "badge": badge_of_replica(replica),
        "tone": tone_of(look_of(replica)),
        "way_back": way_back(move, now),
        "lives_now": lives_now(move),
        "notes": notes_on(move, waiting),
        "buttons": buttons_of(move, viewer, offers, only=[Verb.REVERSE, Verb.TEARDOWN, Verb.KEEP]),
        "facts": [(name, value) for name, value in _facts(replica, now) if value],
        "charts": lag_charts(replica),
        "log": log_of(replica.acts, "teardown"),
    }


def _facts(replica: SourceReplica, now: datetime) -> list[tuple[str, Any]]:
    """What there is to say of it, in the order in which one asks."""
    kept = replica.state == ReplicaState.RETAINED
    return [
        ("app", link(replica.app)),
        ("replica in", link(replica.region)),
        ("left by", link(replica.migration, f"{replica.migration.kind} {route(replica.migration)}")),
        ("left behind", clock(replica.created_at)),
        ("to be looked at", clock(replica.review_at) if kept else ""),
        ("ended", clock(replica.ended_at) if replica.ended_at else ""),
        ("size", size(replica.size_bytes)),
        ("a month, about", f"${replica.estimated_monthly_cost_usd}"),
        ("behind", behind(replica, now) if kept else ""),
        ("WAL kept for it", _retained(replica) if kept else ""),
        ("name in regions", replica.migration.name_in_regions),
        ("watched", clock(replica.watched_at) if replica.watched_at else ""),
        ("last error", replica.last_error),
    ]


def _retained(replica: SourceReplica) -> str:
    if not replica.wal_status:
        return ""
    kept = "none: slot" if replica.retained_bytes is None else size(replica.retained_bytes)
    return f"{kept} ({replica.wal_status})"


def lag_charts(replica: SourceReplica) -> list[Chart]:
    """How far behind it was, as the watch noted it; a sample without a figure is left out. Of very many, the worst of
    those beside each other is drawn."""
    samples = [(datetime.fromisoformat(at), held, late) for at, held, late in replica.history]
    amount = [Point(at, held) for at, held, _ in samples if held is not None]
    time = [Point(at, late) for at, _, late in samples if late is not None]
    return [
        Chart("Behind, in WAL not confirmed yet", "bytes", _line(amount), none=_TOO_FEW),
        Chart("Behind, in time", "seconds", _line(time), none=_TOO_FEW),
    ]


def _line(points: list[Point]) -> list[Point]:
    if len(points) < FEWEST:
        return []
    together = ceil(len(points) / _MOST_POINTS) or 1
    groups = [points[first : first + together] for first in range(0, len(points), together)]
    return [max(group, key=lambda point: point.value) for group in groups]

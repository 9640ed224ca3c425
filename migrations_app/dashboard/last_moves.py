"""The last moves of an app or a region: as a list, and how long they blocked writes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from migrations_app.dashboard.charts import Chart, Point
from migrations_app.dashboard.display import badge, page_of, route, route_column, time_column
from migrations_app.dashboard.standing import blocked_for
from migrations_app.models import AppMigration
from migrations_app.states import ACTIVE


def move_rows(moves: Iterable[AppMigration]) -> list[dict[str, Any]]:
    """Moves as `_moves.html` lists them."""
    return [
        {
            "app": move.app,
            "url": page_of(move),
            "route": route_column(move),
            "kind": move.get_kind_display(),
            "badge": badge(move.status),
            "step": move.current_step.replace("_", " ") if move.status in ACTIVE else "",
            "asked_by": move.requested_by,
            "asked_at": time_column(move.initiated_at),
            "blocked": blocked_for(move),
        }
        for move in moves
    ]


def blocked_chart(moves: Iterable[AppMigration]) -> Chart:
    """How long each of the moves kept the app from writing."""
    points = [
        Point(move.writes_blocked_at, move.blocked_seconds, page_of(move), f"{move.app} {route(move)}")
        for move in moves
        if move.writes_blocked_at and move.blocked_seconds is not None
    ]
    none = "None of the last moves blocked writes."
    return Chart("How long the last moves blocked writes", "seconds", points, bars=True, none=none)

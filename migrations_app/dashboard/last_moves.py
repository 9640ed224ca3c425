"""The last moves of an app or a region: as a list, and how long they blocked writes."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import QuerySet
from django.utils.safestring import SafeString

from migrations_app.dashboard.charts import Chart, Point
from migrations_app.dashboard.display import NOTHING, badge, joined, markup, page_of, route, route_column, time_column
from migrations_app.dashboard.standing import blocked_for
from migrations_app.models import AppMigration
from migrations_app.states import ACTIVE

_SHOWN = (
    *("app__slug", "source_region", "dest_region", "requested_by__username"),
    *("kind", "status", "current_step", "initiated_at", "writes_blocked_at", "writes_unblocked_at"),
    *("pivot_at", "completed_at"),
)


def as_shown(moves: QuerySet[AppMigration]) -> QuerySet[AppMigration]:
    """With what is shown of them, their apps too; they lack their regions: queries.give_regions()."""
    return moves.select_related("app", "requested_by").only(*_SHOWN)


def move_rows(moves: Iterable[AppMigration], *, with_app: bool = False) -> SafeString:
    """Moves as `_moves.html` lists them."""
    return joined([_row(move, with_app=with_app) for move in moves])


def _row(move: AppMigration, *, with_app: bool) -> str:
    page = page_of(move)
    app = markup('<td class="unbroken">{}</td>', move.app) if with_app else ""
    step = f" <small>{move.current_step.replace('_', ' ')}</small>" if move.status in ACTIVE else ""
    asked_by = markup(" <small>by {}</small>", move.requested_by) if move.requested_by else ""
    return (
        f'<tr data-row id="move-{move.pk}">{app}'
        f'<td><a class="row-link" href="{page}">{move.get_kind_display()} {route_column(move)}</a></td>'
        f'<td data-label="Status">{badge(move.status)}{step}</td>'
        f'<td data-label="Asked for">{time_column(move.initiated_at)}{asked_by}</td>'
        f'<td data-label="Writes blocked">{blocked_for(move) or NOTHING}</td></tr>'
    )


def blocked_chart(moves: Iterable[AppMigration]) -> Chart:
    """How long each of the moves kept the app from writing."""
    points = [
        Point(move.writes_blocked_at, move.blocked_seconds, page_of(move), f"{move.app} {route(move)}")
        for move in moves
        if move.writes_blocked_at and move.blocked_seconds is not None
    ]
    none = "None of the last moves blocked writes."
    return Chart("How long the last moves blocked writes", "seconds", points, bars=True, none=none)

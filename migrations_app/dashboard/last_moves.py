"""The last moves of an app or a region: as a list, and how long they blocked writes."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import User
from django.utils.safestring import SafeString

from migrations_app.dashboard.charts import Chart, Point
from migrations_app.dashboard.display import NOTHING, badge, joined, markup, page_of, route, route_column, time_column
from migrations_app.dashboard.standing import blocked_for
from migrations_app.models import App, AppMigration, Region
from migrations_app.models.selecting import one_of, select
from migrations_app.permissions import IN_SIGHT, seen_by
from migrations_app.states import ACTIVE, TERMINAL

_MOVE = (
    *("id", "app_id", "source_region_id", "dest_region_id", "requested_by_id", "kind", "status", "current_step"),
    *("initiated_at", "writes_blocked_at", "writes_unblocked_at", "pivot_at", "completed_at"),
)
_PERSON = ("id", "username")

_OF_APP = """
FROM migrations_app_appmigration AS move LEFT JOIN auth_user AS person ON person.id = move.requested_by_id
WHERE move.app_id = %(app)s ORDER BY move.initiated_at DESC LIMIT %(most)s
"""

_AT_REGION = f"""
SELECT move.* FROM migrations_app_appmigration AS move JOIN migrations_app_app AS app ON app.id = move.app_id
WHERE (move.source_region_id = %(region)s OR move.dest_region_id = %(region)s) AND {IN_SIGHT}
"""  # noqa: S608
_OF_REGION = f"""
FROM (
    ({_AT_REGION} AND move.status {one_of(ACTIVE)} ORDER BY move.initiated_at DESC LIMIT %(active)s)
    UNION ALL
    ({_AT_REGION} AND move.status {one_of(TERMINAL)} ORDER BY move.initiated_at DESC LIMIT %(over)s)
) AS move
JOIN migrations_app_app AS app ON app.id = move.app_id
LEFT JOIN auth_user AS person ON person.id = move.requested_by_id
ORDER BY move.initiated_at DESC
"""


def of_app(app: App, *, most: int) -> list[AppMigration]:
    """The newest first. They lack their regions, as those of_region(): queries.give_regions()."""
    found = select(_OF_APP, {"app": app.pk, "most": most}, move=(AppMigration, _MOVE), person=(User, _PERSON))
    for move, person in found:
        move.app, move.requested_by = app, person
    return [move for move, _ in found]


def of_region(region: Region, viewer: User, *, active: int, over: int) -> tuple[list[AppMigration], list[AppMigration]]:
    """From and to it, the newest first, as far as they are in sight: so many that are active, and that are over."""
    params = {"region": region.pk, "viewer": seen_by(viewer), "active": active, "over": over}
    found = select(_OF_REGION, params, move=(AppMigration, _MOVE), app=(App, ("id", "slug")), person=(User, _PERSON))
    for move, app, person in found:
        move.app, move.requested_by = app, person
    moves = [move for move, _, _ in found]
    return [move for move in moves if move.status in ACTIVE], [move for move in moves if move.status in TERMINAL]


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

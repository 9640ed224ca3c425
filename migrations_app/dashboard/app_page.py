"""What an app's page says before its form: where it lives, whether there is a way back, where it lived when."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.html import format_html

from migrations_app import permissions, queries
from migrations_app.clock import database_now
from migrations_app.dashboard.buttons import Button
from migrations_app.dashboard.charts import Chart, Point
from migrations_app.dashboard.display import ago, badge, clock, link, list_of, page_of, route, size, span
from migrations_app.dashboard.history import Map, map_of
from migrations_app.dashboard.move_form import everywhere
from migrations_app.models import App, AppMigration, SourceReplica
from migrations_app.permissions import Verb
from migrations_app.states import ACTIVE, REPLICA_OPEN, ReplicaState

LAST_MOVES = 20


def about(app: App, viewer: User) -> dict[str, Any]:
    """`sentences`, `buttons`, `map`, its `last` moves, and a `chart` of how long they blocked writes."""
    moves = AppMigration.objects.filter(app=app).select_related("source_region", "dest_region", "requested_by")
    last = list(moves.order_by("-initiated_at")[:LAST_MOVES])
    for move in last:
        move.app = app
    history = map_of(app, database_now())
    return {
        "sentences": _sentences(app, history, last),
        "buttons": _buttons(app, viewer),
        "map": history,
        "last": move_rows(last),
        "moves_url": list_of(AppMigration, app__id__exact=app.pk),
        "chart": blocked_chart(last),
    }


def move_rows(moves: Iterable[AppMigration]) -> list[dict[str, Any]]:
    """Moves as `_moves.html` lists them."""
    return [
        {
            "app": move.app,
            "url": page_of(move),
            "route": route(move),
            "kind": move.get_kind_display(),
            "badge": badge(move.status),
            "step": move.current_step.replace("_", " ") if move.status in ACTIVE else "",
            "asked_by": move.requested_by,
            "initiated_at": move.initiated_at,
            "blocked": span(seconds) if (seconds := queries.blocked_seconds(move)) is not None else "",
        }
        for move in moves
    ]


def blocked_chart(moves: Iterable[AppMigration]) -> Chart:
    """How long each of the moves kept the app from writing."""
    points = [
        Point(move.writes_blocked_at, seconds, page_of(move), f"{move.app} {route(move)}")
        for move in moves
        if move.writes_blocked_at and (seconds := queries.blocked_seconds(move)) is not None
    ]
    none = "None of the last moves blocked writes."
    return Chart("How long the last moves blocked writes", "seconds", points, bars=True, none=none)


def _buttons(app: App, viewer: User) -> list[Button]:
    if not permissions.can(viewer, Verb.REQUEST, app):
        return []
    address = f"{reverse('admin:new_move')}?app={app.slug}"
    return [Button("Move it", address, everywhere(queries.destinations(app)))]


def _sentences(app: App, history: Map, last: list[AppMigration]) -> list[str]:
    since = history.stays[-1].since
    lives = format_html(
        "<strong>{} lives in {}</strong>, since {} ({}).", app, link(app.region), clock(since), ago(since)
    )
    under_way = next((move for move in last if move.status in ACTIVE), None)
    replica = next((replica for replica in reversed(history.replicas) if replica.state in REPLICA_OPEN), None)
    return [lives, *([_under_way(under_way)] if under_way else []), _way_back(replica)]


def _under_way(move: AppMigration) -> str:
    return format_html("{} {}", badge(move.status), link(move, f"{move.get_kind_display()} {route(move)}"))


def _way_back(replica: SourceReplica | None) -> str:
    if replica is None:
        return "No way back is kept: no region has a replica of it."
    page = link(replica, f"replica in {replica.region}")
    if replica.state == ReplicaState.TEARING_DOWN:
        return format_html("Its {} is being torn down: there is no way back.", page)
    behind = f", {size(replica.lag_bytes)} behind" if replica.lag_bytes is not None else ""
    return format_html(
        "A way back is kept: its {}{}, since {}.{}",
        page,
        behind,
        clock(replica.created_at),
        format_html(' <span class="trouble">{}</span>', replica.problem) if replica.problem else "",
    )

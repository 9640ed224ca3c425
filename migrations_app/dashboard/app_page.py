"""What an app's page says before its form: where it lives, whether there is a way back, where it lived when."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.urls import reverse

from migrations_app import offers, permissions, queries
from migrations_app.clock import database_now
from migrations_app.dashboard.buttons import Button
from migrations_app.dashboard.display import ago, badge, clock, link, list_of, markup, page_of, route, tone_of
from migrations_app.dashboard.history import Map, map_of
from migrations_app.dashboard.last_moves import blocked_chart, move_rows, of_app
from migrations_app.dashboard.move_form import everywhere
from migrations_app.dashboard.way_back import way_back
from migrations_app.models import App, AppMigration, Region
from migrations_app.permissions import Verb
from migrations_app.states import ACTIVE

LAST_MOVES = 10
_NO_WAY_BACK = "No way back is kept: no region has a replica of it."


def about(app: App, viewer: User, regions: list[Region]) -> dict[str, Any]:
    """`sentences`, `tone`, `way_back` (as way_back.way_back() has it, and its `page`), `buttons`, `map`, its `last`
    moves, and a `chart` of how long they blocked writes. `regions` are all there are."""
    last = of_app(app, most=LAST_MOVES)
    now = database_now()
    queries.give_regions(last, regions)
    history = map_of(app, now, regions, last)
    kept = history.kept_now
    return {
        "sentences": _sentences(app, history, last),
        "tone": next((tone_of(move.status) for move in last if move.status in ACTIVE), "quiet"),
        "way_back": {**(way_back(kept, now) or {}), "page": page_of(kept.source_replica)} if kept else None,
        "buttons": _buttons(app, viewer, regions),
        "map": history,
        "last": move_rows(last),
        "moves_url": list_of(AppMigration, app__id__exact=app.pk),
        "chart": blocked_chart(last),
    }


def _buttons(app: App, viewer: User, regions: list[Region]) -> list[Button]:
    if not permissions.can(viewer, Verb.REQUEST, app):
        return []
    address = f"{reverse('admin:new_move')}?app={app.slug}"
    return [Button("Move it", address, everywhere(offers.destinations(app, regions)))]


def _sentences(app: App, history: Map, last: list[AppMigration]) -> list[str]:
    """Where it lives; the move under way; that there is no way back, if so."""
    since = history.stays[-1].since
    lives = markup("<strong>{} lives in {}</strong>, since {} ({}).", app, link(app.region), clock(since), ago(since))
    under_way = [move for move in last if move.status in ACTIVE]
    return [lives, *(_under_way(move) for move in under_way), *([] if history.kept_now else [_NO_WAY_BACK])]


def _under_way(move: AppMigration) -> str:
    return markup("{} {}", badge(move.status), link(move, f"{move.get_kind_display()} {route(move)}"))

"""The page of a move."""

from __future__ import annotations

from uuid import UUID

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from migrations_app import queries
from migrations_app.clock import database_now
from migrations_app.dashboard import live
from migrations_app.dashboard.confirming import as_http
from migrations_app.dashboard.display import route, tone_of
from migrations_app.dashboard.live import Fragment, Live
from migrations_app.dashboard.standing import standing
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import AppMigration
from migrations_app.states import TERMINAL


def page(request: HttpRequest, move: AppMigration, site: AdminSite) -> HttpResponse:
    context = {
        **site.each_context(request),
        "title": f"{move.app}: {route(move)}",
        "move": move,
        "opts": AppMigration._meta,
        "now": database_now(),
    }
    return live.page(request, "dashboard/move.html", _live(request, move), context)


@as_http()
def news(request: HttpRequest, move_id: UUID, site: AdminSite) -> HttpResponse:
    return live.news(request, _live(request, queries.move(move_id, viewer=user_of(request))))


def _live(request: HttpRequest, move: AppMigration) -> Live:
    return Live(
        [Fragment("standing", "dashboard/_standing.html", {"standing": standing(move)})],
        title=f"{move.status} {move.app}",
        tone=tone_of(move.status),
        address=reverse("admin:move_live", args=[move.pk]),
        is_over=move.status in TERMINAL,
    )

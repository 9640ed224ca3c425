"""The first page: what goes on, what waits for whom, what is wrong."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from migrations_app import alarms
from migrations_app.clock import database_now
from migrations_app.dashboard import live
from migrations_app.dashboard.live import Fragment, Live
from migrations_app.dashboard.viewer import user_of
from migrations_app.permissions import Verb, can


def page(request: HttpRequest, site: AdminSite) -> TemplateResponse:
    context = {**site.each_context(request), "title": "Overview", "now": database_now()}
    return live.page(request, "dashboard/overview.html", _live(request), context)


def news(request: HttpRequest, site: AdminSite) -> HttpResponse:
    return live.news(request, _live(request))


def _live(request: HttpRequest) -> Live:
    user = user_of(request)
    may_look = can(user, Verb.VIEW)
    found: list[Any] = alarms.now_open(user) if may_look else []
    return Live(
        [Fragment("alarms", "dashboard/_alarms.html", {"alarms": found})],
        title="Overview",
        tone="bad" if found else "quiet",
        address=reverse("admin:overview_live"),
    )

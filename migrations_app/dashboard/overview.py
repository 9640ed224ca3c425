"""The first page: what is wrong, what goes on, what waits for whom, and what is kept."""

from __future__ import annotations

from datetime import datetime

from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe

from migrations_app import queries
from migrations_app.clock import database_now
from migrations_app.dashboard import live
from migrations_app.dashboard.live import Fragment, Live, digest_of
from migrations_app.dashboard.overview_blocks import MOST, blocks, fragment
from migrations_app.dashboard.shared import shared
from migrations_app.dashboard.viewer import user_of
from migrations_app.dashboard.waiting import in_turn, line
from migrations_app.permissions import Verb, can, sight_of


def page(request: HttpRequest, site: AdminSite) -> TemplateResponse:
    context = {
        **site.each_context(request),
        "title": "Overview",
        "may_look": can(user_of(request), Verb.VIEW),
    }
    return live.page(request, "dashboard/overview.html", _live(request), context)


def news(request: HttpRequest, site: AdminSite) -> HttpResponse:
    return live.news(request, _live(request))


def _live(request: HttpRequest) -> Live:
    user = user_of(request)
    if not can(user, Verb.VIEW):
        return Live([], title="Overview", tone="quiet", address=reverse("admin:overview_live"), is_over=True)
    now, may_ask = database_now(), can(user, Verb.REQUEST)
    common, pressing = _common(user, now, may_ask=may_ask)
    asked = queries.open_approvals(viewer=user)
    queries.give_regions(approval.migration for approval in asked)
    waiting = in_turn([approval for approval in asked if approval.expires_at > now], user)
    own = fragment("waiting", map(line, waiting[:MOST]), len(waiting), may_ask=may_ask)
    mine = sum(one.is_mine for one in waiting)
    return Live([*common, own], *_tab(pressing, mine), reverse("admin:overview_live"))


def _common(user: User, now: datetime, *, may_ask: bool) -> tuple[list[Fragment], dict[str, int]]:
    """What all see who see the same teams, rendered once for all of them."""

    def make() -> tuple[list[tuple[str, str, str]], dict[str, int]]:
        found, pressing = blocks(user, now, may_ask=may_ask)
        return [(part.name, html := part.render(), digest_of(html)) for part in found], pressing

    key = f"overview:{sight_of(user)}:{may_ask}:{timezone.get_current_timezone_name()}"
    rendered, pressing = shared(key, make)
    return [Fragment(name, "", {}, html=mark_safe(html), digest=digest) for name, html, digest in rendered], pressing  # noqa: S308


def _tab(pressing: dict[str, int], mine: int) -> tuple[str, str]:
    """What the tab says: what is most pressing."""
    held, wrong, running = pressing["held"], pressing["wrong"], pressing["running"]
    if held:
        return f"! {held} held", "bad"
    if wrong:
        return f"! {wrong} alarm{'s' * (wrong > 1)}", "bad"
    if mine:
        return f"? {mine} to approve", "ask"
    if running:
        return f"▶ {running} running", "busy"
    return "Overview", "quiet"

"""From whatever somebody has at hand, an app's name or the id of a move or its beginning, to its page."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from migrations_app.dashboard.display import list_of, page_of
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import App, AppMigration
from migrations_app.permissions import in_sight, visible_apps

FEWEST = 6
"""Digits that the beginning of an id has at least."""


def find(request: HttpRequest) -> HttpResponse:
    """The page of the move or the app; the list of apps that are like it, where there is none of just that name."""
    user, wanted = user_of(request), request.GET.get("q", "").strip()
    app = visible_apps(user).filter(slug=wanted).first()
    if app is not None:
        return redirect(page_of(app))
    bounds = _bounds(wanted)
    if bounds is None:
        return redirect(list_of(App, q=wanted))
    found = list(in_sight(AppMigration.objects.all(), user).filter(pk__range=bounds).order_by().only("pk")[:2])
    if len(found) == 1:
        return redirect(page_of(found[0]))
    if found:
        messages.warning(request, f"The ids of several moves begin with {wanted}: give more of it.")
        return redirect(list_of(AppMigration))
    messages.warning(request, f"No move that you see has an id that begins with {wanted}, and no app is called so.")
    return redirect(list_of(App, q=wanted))


def _bounds(text: str) -> tuple[UUID, UUID] | None:
    """The first and the last id that begins so; None: it is not the beginning of one."""
    digits = text.replace("-", "").lower()
    if not FEWEST <= len(digits) <= 32 or set(digits) - set("0123456789abcdef"):
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))

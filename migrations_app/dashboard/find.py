"""From whatever somebody has at hand, an app's name or the id of a move, to its page."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from migrations_app.dashboard.display import list_of, page_of
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import App, AppMigration
from migrations_app.permissions import in_sight, visible_apps


def find(request: HttpRequest) -> HttpResponse:
    """The page of the move or the app; the list of apps that are like it, where there is none of just that name."""
    user, wanted = user_of(request), request.GET.get("q", "").strip()
    move = in_sight(AppMigration.objects.all(), user).filter(pk=wanted).first() if _is_uuid(wanted) else None
    if move is not None:
        return redirect(page_of(move))
    app = visible_apps(user).filter(slug=wanted).first()
    return redirect(page_of(app) if app else list_of(App, q=wanted))


def _is_uuid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True

"""Comments on a move, by who sees it. The form is on the move's page, and works without JavaScript."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from migrations_app import actions
from migrations_app.dashboard.confirming import as_http
from migrations_app.dashboard.display import page_at
from migrations_app.dashboard.session_lock import kept
from migrations_app.dashboard.viewer import user_of
from migrations_app.errors import InvalidInput
from migrations_app.models import AppMigration

_DRAFT = "comment-{}"
_LONGEST_DRAFT = 20_000


@require_http_methods(["GET", "HEAD", "POST"])
@as_http()
def comment(request: HttpRequest, move_id: UUID) -> HttpResponse:
    """Take the field `text`, and lead back to the comments on the move's page, which without JavaScript does not reload
    (`still`) if it did not before. Whoever has to log in first comes back with GET (dashboard/typed.py)."""
    back = f"{page_at(AppMigration, move_id)}{'?still' if 'still' in request.GET else ''}#comments"
    if request.method != "POST":
        return redirect(back)
    text = request.POST.get("text", "")
    try:
        actions.comment(move_id=move_id, acting_user=user_of(request), text=text)
    except InvalidInput as error:
        messages.error(request, f"{error.reason} {error.hint}")
        with kept(request.session):
            request.session[_DRAFT.format(move_id)] = text[:_LONGEST_DRAFT]
    return redirect(back)


def draft(request: HttpRequest, move: AppMigration) -> str:
    """What was refused a moment ago, for the form to show once more; it is told once."""
    name = _DRAFT.format(move.pk)
    if name not in request.session:
        return ""
    with kept(request.session):
        text: str = request.session.pop(name, "")
    return text

"""What somebody typed is not lost when nothing can be done with it: they were logged out meanwhile, or logged in anew.

It is kept nowhere: the answer shows it to the browser that has just sent it. With JavaScript the tab remembers it too,
and fills the form in with it after the login (static/portal/logged_out.js).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import never_cache

FIELDS = {
    "app": "App",
    "dest": "Destination",
    "reason": "Reason",
    "comment": "Comment",
    "text": "Comment",
    "until": "Keep until",
    "not_before": "Not before",
    "ticket_url": "Ticket",
    "block_budget_seconds": "Writes blocked for at most, in seconds",
}
"""What is shown again, and what it is called. A password is not."""
LONGEST = 20_000
"""Characters of a field."""


def never_lost(site: AdminSite, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The view for who is logged in, as the site's admin_view()."""
    inside = site.admin_view(view)

    @wraps(view)
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if site.has_permission(request) or not typed_in(request):
            return inside(request, *args, **kwargs)
        login = redirect_to_login(request.path, reverse("admin:login")).headers["Location"]
        return _not_done(request, "You are logged out: nothing was done.", login, "Log in", status=401)

    return inner


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Of a form whose token is not that of this login. Another site could have sent it, but not with the session."""
    site_knows = request.user.is_authenticated and typed_in(request)
    said = "You logged in anew meanwhile: nothing was done."
    if site_knows:
        return _not_done(request, said, request.path, "Back to the form", status=403)
    return render(request, "403_csrf.html", status=403)


def typed_in(request: HttpRequest) -> list[tuple[str, str]]:
    """What was sent, by the names of the fields."""
    given = request.POST if request.method == "POST" else {}
    return [(label, str(given[name])[:LONGEST]) for name, label in FIELDS.items() if given.get(name)]


@never_cache
def _not_done(request: HttpRequest, said: str, to: str, label: str, *, status: int) -> HttpResponse:
    shown = {"title": said, "to": to, "label": label, "typed": typed_in(request)}
    return render(request, "dashboard/not_done.html", shown, status=status)

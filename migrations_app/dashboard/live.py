"""Pages that keep themselves current. They are made of fragments; the browser asks every two seconds with a cursor,
which tells what it has, and is sent the fragments that have changed.

Without JavaScript the same page is complete, and is reloaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from hashlib import blake2b
from typing import Any

from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

from migrations_app.dashboard.display import markup

_TICKING = re.compile(r'(data-(?:since|until)="[^"]*"[^>]*>)[^<]*')
"""The text of what the browser itself counts on, second by second."""


@dataclass(frozen=True)
class Fragment:
    """A part of a page that changes by itself: the element `f-<name>`, rendered from a template of its own. In the
    page's template it is `fragments.<group>`, together with all others of its group."""

    name: str
    template: str
    context: dict[str, Any]
    tag: str = "div"
    group: str = ""
    html: SafeString | None = None
    """Its inside, where it has been rendered already, and then `digest` is digest_of() that."""
    digest: str = ""

    def render(self) -> SafeString:
        return render_to_string(self.template, self.context) if self.html is None else self.html


@dataclass(frozen=True)
class Live:
    """What changes by itself on a page. `title` and `tone` (good, busy, ask, bad or quiet) are for the tab: its title
    and icon; `address` is where its fragments are asked for; once it `is_over`, nobody asks any more."""

    fragments: list[Fragment]
    title: str
    tone: str
    address: str
    is_over: bool = False
    _rendered: list[SafeString] = field(default_factory=list)

    def rendered(self) -> list[SafeString]:
        """Each fragment's inside."""
        if not self._rendered:
            self._rendered.extend(fragment.render() for fragment in self.fragments)
        return self._rendered

    def cursor(self) -> str:
        """A digest for each fragment, in their order."""
        parts = zip(self.fragments, self.rendered(), strict=True)
        return ".".join(fragment.digest or digest_of(html) for fragment, html in parts)


def page(request: HttpRequest, template: str, live: Live, context: dict[str, Any]) -> TemplateResponse:
    """The whole page: its template gets what shown() says, beside the context."""
    return TemplateResponse(request, template, {**context, **shown(live)})


def shown(live: Live) -> dict[str, Any]:
    """`fragments` by their groups, `live`, its `cursor`, and `now`."""
    groups: dict[str, SafeString] = {}
    for fragment, html in zip(live.fragments, live.rendered(), strict=True):
        group = fragment.group or fragment.name
        groups[group] = groups.get(group, mark_safe("")) + _element(fragment, html)
    return {"fragments": groups, "live": live, "cursor": live.cursor(), "now": timezone.now()}


def news(request: HttpRequest, live: Live) -> HttpResponse:
    """What has changed since the cursor; 204 if nothing has."""
    cursor, known = live.cursor(), request.GET.get("cursor", " ")
    if known == cursor:
        return HttpResponse(status=204)
    has = cursor.split(".") if live.fragments else []
    had = known.split(".") if known.count(".") == cursor.count(".") else [""] * len(has)
    parts = [
        _element(fragment, html, swap=True)
        for fragment, html, before, after in zip(live.fragments, live.rendered(), had, has, strict=False)
        if before != after
    ]
    poller = render_to_string("dashboard/_poller.html", {"live": live, "cursor": cursor, "swap": True}, request)
    return HttpResponse([poller, *parts])


def polled(site: AdminSite, view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Who is not logged in any more gets 401, which the page can tell from news, and no login form."""

    @wraps(view)
    @require_safe
    def inner(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return view(request, *args, **kwargs) if site.has_permission(request) else HttpResponse(status=401)

    return inner


def _element(fragment: Fragment, html: SafeString, *, swap: bool = False) -> SafeString:
    attribute = mark_safe(' hx-swap-oob="innerHTML"') if swap else ""
    return markup('<{0} id="f-{1}"{2}>{3}</{0}>', fragment.tag, fragment.name, attribute, html)


def digest_of(html: str) -> str:
    return blake2b(_TICKING.sub(r"\1", html).encode(), digest_size=5).hexdigest()

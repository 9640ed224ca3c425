"""The places that the head of every page leads to."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from migrations_app.dashboard.display import joined, list_of
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import (
    Alarm,
    ApiToken,
    App,
    AppMigration,
    Approval,
    AuditEvent,
    Region,
    SourceReplica,
    Subscription,
)
from migrations_app.permissions import Verb, can

_LISTS: list[tuple[str, type[Model]]] = [
    ("Moves", AppMigration),
    ("Approvals", Approval),
    ("Replicas", SourceReplica),
    ("Apps", App),
    ("Regions", Region),
    ("Alarms", Alarm),
    ("Audit", AuditEvent),
]
_SELDOM: list[tuple[str, type[Model]]] = [
    ("Webhooks", Subscription),  # and mail; their deliveries are reached from there
    ("Tokens", ApiToken),
    ("People", User),
    ("Teams", Group),
]


class Place(NamedTuple):
    name: str
    url: str
    is_here: bool


def navigation(request: HttpRequest) -> dict[str, SafeString]:
    """`places`, and `more_places` that one seldom goes to, which are in a menu; those whose things the user may look
    at. A place of the menu stands beside the others while one is there."""
    front = reverse("admin:index")
    often, seldom = _of(request, _LISTS), _of(request, _SELDOM)
    shown = [Place("Overview", front, request.path == front), *often, *(place for place in seldom if place.is_here)]
    return {"places": _items(shown), "more_places": _items([Place(place.name, place.url, False) for place in seldom])}


def _of(request: HttpRequest, lists: list[tuple[str, type[Model]]]) -> list[Place]:
    user = user_of(request)
    return [
        Place(name, url := list_of(model), request.path.startswith(url))
        for name, model in lists
        if user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
    ]


def _items(places: list[Place]) -> SafeString:
    here = {True: ' aria-current="page"', False: ""}
    items = [f'<li><a href="{place.url}"{here[place.is_here]}>{place.name}</a></li>' for place in places]
    return joined(items)


def may_ask(request: HttpRequest) -> bool:
    """Whether the user may request moves at all."""
    return can(user_of(request), Verb.REQUEST)

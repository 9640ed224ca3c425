"""The places that the head of every page leads to."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from migrations_app.dashboard.display import list_of
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


@dataclass(frozen=True)
class Place:
    name: str
    url: str
    is_here: bool


def places(request: HttpRequest) -> list[Place]:
    """Those whose things the user may look at."""
    front = reverse("admin:index")
    return [Place("Overview", front, request.path == front), *_of(request, _LISTS)]


def more_places(request: HttpRequest) -> list[Place]:
    """The same, of places that one seldom goes to: they are in a menu."""
    return _of(request, _SELDOM)


def _of(request: HttpRequest, lists: list[tuple[str, type[Model]]]) -> list[Place]:
    user = user_of(request)
    return [
        Place(name, url := list_of(model), request.path.startswith(url))
        for name, model in lists
        if user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}")
    ]


def may_ask(request: HttpRequest) -> bool:
    """Whether the user may request moves at all."""
    return can(user_of(request), Verb.REQUEST)

"""The places that the head of every page leads to."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from django.urls import reverse

from migrations_app.dashboard.display import list_of
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import (
    Alarm,
    App,
    AppMigration,
    Approval,
    AuditEvent,
    Region,
    SourceReplica,
    Subscription,
)
from migrations_app.permissions import Verb, can

_LISTS = [
    ("Moves", AppMigration),
    ("Approvals", Approval),
    ("Replicas", SourceReplica),
    ("Apps", App),
    ("Regions", Region),
    ("Alarms", Alarm),
    ("Audit", AuditEvent),
    ("Webhooks", Subscription),  # and mail; their deliveries are reached from there
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
    user = user_of(request)
    found = [Place("Overview", (front := reverse("admin:index")), request.path == front)]
    for name, model in _LISTS:
        if user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"):
            url = list_of(model)
            found.append(Place(name, url, request.path.startswith(url)))
    return found


def may_ask(request: HttpRequest) -> bool:
    """Whether the user may request moves at all."""
    return can(user_of(request), Verb.REQUEST)

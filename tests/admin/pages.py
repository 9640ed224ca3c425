"""Pages of the admin, as a user asks for them."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from migrations_app.models import AppMigration

MODELS = ("region", "app", "appmigration", "sourcereplica", "approval", "auditevent")


def page(user: User, name: str, /, *args: object, **params: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client.get(reverse(f"admin:{name}", args=args), params)


def send(user: User, name: str, /, *args: object, **data: Any) -> Any:
    client = Client()
    client.force_login(user)
    return client.post(reverse(f"admin:{name}", args=args), data)


def verb(name: str) -> str:
    """The URL name of a verb's page."""
    return f"migrations_app_appmigration_{name}"


def of_move(user: User, move: AppMigration) -> Any:
    return page(user, "migrations_app_appmigration_change", move.pk)


def open_and_shut(response: Any) -> tuple[set[str], set[str]]:
    """The labels of the buttons that lead somewhere, and of those that do not now."""
    html = response.content.decode()
    return (
        set(re.findall(r'<a class="verb[^"]*" href="[^"]*"[^>]*>([^<]+)</a>', html)),
        set(re.findall(r'aria-disabled="true"[^>]*>([^<]+)</span>', html)),
    )


def things(move: AppMigration) -> dict[str, Any]:
    """The move, and what belongs to it, by the names of their models."""
    found = [move.app.region, move.app, move, move.source_replica, move.approvals.get(), move.audit_events.get()]
    return {str(thing._meta.model_name): thing for thing in found}

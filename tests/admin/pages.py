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
    """The page of a verb is looked at first, and what its form carries is sent with it; not that of an approval: to
    look at that one does something."""
    client = Client()
    client.force_login(user)
    address = reverse(f"admin:{name}", args=args)
    carried = carried_by(client.get(address)) if name in _LOOKED_AT_FIRST else {}
    return client.post(address, carried | data)


def verb(name: str) -> str:
    """The URL name of a verb's page."""
    return f"migrations_app_appmigration_{name}"


_LOOKED_AT_FIRST = [verb(name) for name in ("abort", "keep", "reject", "retry", "reverse", "teardown", "withdraw")]


def carried_by(response: Any) -> dict[str, str]:
    """What the form of a page before a deed says of the page itself."""
    return dict(
        re.findall(r'<input type="hidden" name="(said|approval|seen)" value="(\w+)"', response.content.decode())
    )


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

"""An app on paper, the people around it, and a move that waits for approval."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User

from migrations_app import actions
from migrations_app.models import App, AppMigration
from tests import on_paper
from tests.people import QUICK_HASHERS, person


@pytest.fixture(autouse=True)
def _policy(settings: Any, monkeypatch: Any) -> None:
    """A second person is asked; preflight is stood in for, as the regions are only on paper."""
    settings.MOVES_FOUR_EYES = frozenset({"move", "teardown"})
    settings.PASSWORD_HASHERS = QUICK_HASHERS
    for module in ("requesting", "deciding"):
        monkeypatch.setattr(f"migrations_app.actions.{module}.look", lambda move: [])


@pytest.fixture
def shop() -> App:
    on_paper.region("eu-west-1")
    return on_paper.app("shop")


@pytest.fixture
def requester() -> User:
    return person("rita", "Requester", "team-a")


@pytest.fixture
def approver() -> User:
    return person("anna", "Approver", "team-a")


@pytest.fixture
def operator() -> User:
    return person("olga", "Operator")


@pytest.fixture
def waiting(shop: App, requester: User) -> AppMigration:
    return actions.request_move(
        app_slug="shop", dest_slug="eu-west-1", acting_user=requester, reason="closer", ticket_url="https://t.example/7"
    )


@pytest.fixture
def root() -> User:
    return User.objects.create_superuser("root", password="a-secret-of-root")


@pytest.fixture
def admin() -> User:
    return person("ada", "Admin")


@pytest.fixture
def move(operator: User) -> AppMigration:
    """Completed, with a replica that is kept, a teardown that waits, and events."""
    done = on_paper.completed(on_paper.app("shop"))
    actions.teardown(move_id=done.pk, acting_user=operator, confirm="shop", reason="=1+1")
    return done

"""docs/webhooks.md: its recipe works, and it names every event."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import time_machine

from migrations_app import actions
from migrations_app.delivery import signing
from migrations_app.delivery.sender import deliver_all
from migrations_app.event_types import EVENT_TYPES
from migrations_app.models import AppMigration
from migrations_app.states import Status
from migrations_app.transitions import change_status
from tests.outbox.conftest import Subscribe
from tests.outbox.receivers import Receiver

DOC = Path(__file__).resolve().parents[2] / "docs/webhooks.md"


@pytest.fixture
def is_genuine() -> Callable[[dict[str, str], bytes, str], bool]:
    (recipe,) = re.findall(r"^```python\n(.*?)^```", DOC.read_text(), re.DOTALL | re.MULTILINE)
    defined: dict[str, Any] = {}
    exec(recipe, defined)  # noqa: S102 — the page's own
    found: Callable[[dict[str, str], bytes, str], bool] = defined["is_genuine"]
    return found


@pytest.mark.django_db
def test_the_recipe_tells_genuine_messages_from_others(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver, is_genuine: Callable[..., bool]
) -> None:
    subscription = subscribe()
    old = signing.shown(subscription)
    actions.rotate_key(subscription_id=subscription.pk, acting_user=None, version=1)
    subscription.refresh_from_db()
    change_status(move, Status.RUNNING, verb="start")
    deliver_all()
    (request,) = receiver.requests
    for key in (old, signing.shown(subscription)):
        assert is_genuine(request.headers, request.body, key)
    assert not is_genuine(request.headers, request.body + b" ", old)
    assert not is_genuine(request.headers | {"webhook-id": "msg_other"}, request.body, old)
    assert not is_genuine(request.headers, request.body, signing.shown(subscribe("another")))
    with time_machine.travel(int(request.headers["webhook-timestamp"]) + 301):
        assert not is_genuine(request.headers, request.body, old)


def test_every_event_is_in_the_doc() -> None:
    table = DOC.read_text().partition("## Events")[2].partition("##")[0]
    assert re.findall(r"`((?:move|replica)\.\w+)`", table) == list(EVENT_TYPES)

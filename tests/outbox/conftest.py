"""An app on paper, somebody who is told, and what hurries time along."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.db.models import F

from migrations_app.event_types import EVENT_TYPES
from migrations_app.models import App, AppMigration, OutboxMessage, Subscription
from tests import on_paper
from tests.outbox.receivers import MailBox, Receiver, receiving, taking_mail

KEY = "k" * 40
TIMES = ("next_try_at", "leased_until", "give_up_at", "created_at", "dead_at", "sent_at")


@pytest.fixture(autouse=True)
def _settings(settings: Any) -> None:
    """Tests tell each other things on this machine."""
    settings.MOVES_WEBHOOK_KEY = KEY
    settings.MOVES_WEBHOOK_ALLOWED_NETWORKS = [ip_network("127.0.0.0/8")]
    settings.MOVES_WEBHOOK_URLS_FILE = ""
    settings.MOVES_PUBLIC_URL = "https://moves.example.com"


@pytest.fixture
def shop() -> App:
    on_paper.region("eu-west-1")
    return on_paper.app("shop")


@pytest.fixture
def move(shop: App) -> AppMigration:
    return on_paper.move(shop)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as here:
        yield here


@pytest.fixture
def mail_box(settings: Any) -> Iterator[MailBox]:
    """Where the portal's mail goes. pytest-django stands in for the mail backend, unless it is told otherwise here."""
    with taking_mail() as box:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_IS_SET, settings.EMAIL_HOST, settings.EMAIL_PORT = True, "127.0.0.1", box.port
        yield box


Subscribe = Callable[..., Subscription]


@pytest.fixture
def subscribe(receiver: Receiver) -> Subscribe:
    """A webhook to the receiver, to be told of everything, if not otherwise said."""

    def make(name: str = "ops", **fields: Any) -> Subscription:
        fields = {"channel": "webhook", "target": receiver.url, "events": list(EVENT_TYPES), **fields}
        return Subscription.objects.create(name=name, **fields)

    return make


def later(**by: float) -> None:
    """As if so much time had passed, for all that is in the outbox."""
    OutboxMessage.objects.update(**{field: F(field) - timedelta(**by) for field in TIMES})

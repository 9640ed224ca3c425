"""Sees that somebody was not told: messages that were given up, and an outbox that nobody empties."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Count
from django.db.models.functions import Now

from migrations_app import outbox
from migrations_app.engine import alarms
from migrations_app.engine.alarms import Trouble
from migrations_app.models import Alarm, Heartbeat, Subscription
from migrations_app.models.alarm import AlarmCode

HEARTBEAT = "sender"

_STANDS_FOR = timedelta(days=1)
"""How long a death is an alarm, unless the message is sent again; the deliveries' list has it for longer."""


def look() -> None:
    """Raise an alarm for each subscription whose messages died of late, and one while nobody sends."""
    dead = Subscription.objects.filter(enabled=True, messages__dead_at__gt=Now() - _STANDS_FOR)
    found = [_dead(subscription) for subscription in dead.annotate(dead=Count("messages"))]
    alarms.settle(found, among=Alarm.objects.filter(code=AlarmCode.DELIVERY_DEAD))
    alarms.settle(_waiting(), among=Alarm.objects.filter(code=AlarmCode.DELIVERIES_WAIT))


def _dead(subscription: Subscription) -> Trouble:
    count: int = subscription.dead  # type: ignore[attr-defined]
    deliveries = "1 delivery" if count == 1 else f"{count} deliveries"
    return Trouble(
        AlarmCode.DELIVERY_DEAD,
        f"subscription {subscription.pk}",
        f"{deliveries} to {subscription} failed for a day, and no more is tried.",
        "Webhooks, All deliveries, State: dead says why. Once that is mended, send them again.",
    )


def _waiting() -> list[Trouble]:
    limit = Now() - timedelta(seconds=settings.MOVES_ALARM_SECONDS)
    waiting = outbox.due().filter(next_try_at__lt=limit)
    if not waiting.exists() or Heartbeat.objects.filter(name=HEARTBEAT, at__gte=limit).exists():
        return []
    return [
        Trouble(
            AlarmCode.DELIVERIES_WAIT,
            "outbox",
            "Webhooks or mails are due, and nobody sends them.",
            "Start it: manage.py deliver. Nothing of them is lost.",
        )
    ]

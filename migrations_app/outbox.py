"""What is to be told: a row for each event and subscription, written in the transaction of what it tells. So nothing is
told that did not happen, and nothing that happened is forgotten."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from migrations_app.event_types import type_of
from migrations_app.models import AuditEvent, OutboxMessage, Subscription


def put(event: AuditEvent) -> None:
    """Leave a message for each subscription that wants to know of this event, in the caller's transaction."""
    if event.migration is None or event.app is None:
        return
    kind = type_of(event.verb, event.to_status)
    told = Subscription.objects.filter(
        Q(team__isnull=True) | Q(team=event.app.owner_id), enabled=True, events__contains=[kind]
    )
    OutboxMessage.objects.bulk_create(
        OutboxMessage(subscription=subscription, event=event, migration=event.migration, type=kind)
        for subscription in told
    )


def pending() -> QuerySet[OutboxMessage]:
    return OutboxMessage.objects.filter(sent_at__isnull=True, dead_at__isnull=True)


def due() -> QuerySet[OutboxMessage]:
    """Messages that wait for nothing but a sender. Of one subscription and move only the first that is pending: what
    came later waits for it, so that it is told in order."""
    earlier = pending().filter(
        subscription=OuterRef("subscription"), migration=OuterRef("migration"), pk__lt=OuterRef("pk")
    )
    return pending().filter(
        ~Exists(earlier),
        Q(leased_until__isnull=True) | Q(leased_until__lt=Now()),
        next_try_at__lte=Now(),
        subscription__enabled=True,
    )

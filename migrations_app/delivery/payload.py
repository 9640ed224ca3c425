"""What a message says, and how each channel says it. The payload is made once; what is sent follows from it alone, so
that every try sends the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.urls import reverse

from migrations_app import published, queries
from migrations_app.delivery import wording
from migrations_app.models import OutboxMessage


def payload_of(message: OutboxMessage) -> dict[str, Any]:
    """`type, timestamp, data`, as docs/webhooks.md describes them, in plain JSON values.

    What happened is the event's, as it is on the audit trail; the move is described as it stands by now.
    """
    event, move = message.event, queries.move(message.migration_id, viewer=None)
    page = reverse("admin:migrations_app_appmigration_change", args=[move.pk])
    said = {
        "type": message.type,
        "timestamp": event.at,
        "data": {
            **published.describe_move(move),
            "app": move.app.slug,
            "team": move.app.owner.name if move.app.owner else None,
            "sequence": event.number,
            "verb": event.verb,
            "from_status": event.from_status or None,
            "to_status": event.to_status or None,
            "who": event.actor_name or None,
            "reason": event.reason,
            "headline": wording.headline(event, move),
            "sentence": wording.sentence(event, move),
            "what_is_safe": wording.what_is_safe(event, move),
            "url": f"{settings.MOVES_PUBLIC_URL}{page}" if settings.MOVES_PUBLIC_URL else None,
        },
    }
    plain: dict[str, Any] = json.loads(json.dumps(said, cls=DjangoJSONEncoder))
    return plain


def as_webhook(webhook_id: str, payload: dict[str, Any]) -> bytes:
    """The same bytes each time, of a payload as the database gives it back: it has an order of its own for keys."""
    return json.dumps({"id": webhook_id, **payload}).encode()


def as_slack(payload: dict[str, Any]) -> bytes:
    """Slack's own three characters are escaped: nothing in it becomes a mention or a link."""
    data = payload["data"]
    link = f" <{_escaped(data['url'])}|Look at it>" if data["url"] else ""
    return json.dumps({"text": _escaped(data["sentence"]) + link}).encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@dataclass(frozen=True)
class Mail:
    subject: str
    text: str


def as_mail(payload: dict[str, Any]) -> Mail:
    data = payload["data"]
    parts = [data["sentence"], data["what_is_safe"], data["url"]]
    return Mail(wording.one_line(data["headline"]), "\n\n".join(filter(None, parts)) + "\n")

"""The keys that webhooks are signed with, and the signatures, in the form of Standard Webhooks.

No key is stored: each is derived from MOVES_WEBHOOK_KEY, the subscription and its key's version. Standard Webhooks:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from datetime import datetime

from django.conf import settings

from migrations_app.errors import TransientError
from migrations_app.models import Subscription
from migrations_app.models.subscription import OLD_KEY_LIVES


def shown(subscription: Subscription) -> str:
    """The key as the receiver is given it: `whsec_` and base64."""
    return f"whsec_{b64encode(_key(subscription, subscription.key_version)).decode()}"


def keys_of(subscription: Subscription, now: datetime) -> list[bytes]:
    """Those to sign with now: the current one, and for a day after a rotation the one before."""
    rotated = subscription.key_rotated_at
    versions = [subscription.key_version]
    if rotated and now < rotated + OLD_KEY_LIVES:
        versions.append(subscription.key_version - 1)
    return [_key(subscription, version) for version in versions]


def headers(webhook_id: str, timestamp: int, body: bytes, keys: list[bytes]) -> dict[str, str]:
    """What a message carries. `timestamp`: of this try, in seconds since 1970."""
    signed = b".".join([webhook_id.encode(), str(timestamp).encode(), body])
    signatures = (f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys)
    return {
        "Webhook-Id": webhook_id,
        "Webhook-Timestamp": str(timestamp),
        "Webhook-Signature": " ".join(signatures),
    }


def _key(subscription: Subscription, version: int) -> bytes:
    if not settings.MOVES_WEBHOOK_KEY:
        raise TransientError(
            "MOVES_WEBHOOK_KEY is not set: nothing can be signed.",
            hint="Set it, the same for all processes.",
            code="no_webhook_key",
        )
    return hmac.digest(settings.MOVES_WEBHOOK_KEY.encode(), f"webhook {subscription.pk} {version}".encode(), "sha256")

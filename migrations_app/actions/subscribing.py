"""The signing keys of subscriptions, and deliveries that were given up. Subscriptions themselves are edited in the
admin."""

from __future__ import annotations

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from migrations_app import permissions, rules
from migrations_app.actions.locks import refuse
from migrations_app.channels import Channel
from migrations_app.delivery import signing
from migrations_app.errors import Blocker, InvalidInput, NotFound, Refused
from migrations_app.models import OutboxMessage, Subscription
from migrations_app.permissions import Verb
from migrations_app.transitions import record

_ROTATED = Blocker("changed_meanwhile", "The key was rotated meanwhile.", "Look again.")


def show_key(*, subscription_id: int, acting_user: User | None, version: int) -> str:
    """The key of that version, which signs a webhook's messages, to be given to its receiver. That it was shown is on
    the trail."""
    subscription = _signed(subscription_id, acting_user)
    if subscription.key_version != version:
        raise Refused([_ROTATED])
    key = signing.shown(subscription)
    with transaction.atomic():
        _record("show_key", subscription, acting_user)
    return key


def rotate_key(*, subscription_id: int, acting_user: User | None, version: int) -> Subscription:
    """Sign with a new key from now on; for a day with the one before as well. `version` is the one to be replaced: who
    presses twice rotates once."""
    subscription = _signed(subscription_id, acting_user)
    with transaction.atomic():
        changed = Subscription.objects.filter(pk=subscription.pk, key_version=version).update(
            key_version=F("key_version") + 1, key_rotated_at=Now()
        )
        if not changed:
            raise Refused([_ROTATED])
        _record("rotate_key", subscription, acting_user, reason=f"key {version} → {version + 1}")
    subscription.refresh_from_db()
    return subscription


def send_again(*, message_id: int, acting_user: User | None) -> OutboxMessage:
    """Try a dead delivery again, as if it were new, with the Webhook-Id it had."""
    permissions.require(acting_user, Verb.RESEND)
    with transaction.atomic():
        rows = permissions.visible_messages(acting_user).select_for_update(of=("self",), no_key=True)
        message = rows.select_related("subscription", "migration__app").filter(pk=message_id).first()
        if message is None:
            raise NotFound(f"There is no delivery {message_id}.", code="unknown_delivery")
        refuse(rules.forbids_resending(message))
        message.dead_at = message.give_up_at = None
        message.attempts = 0
        message.next_try_at = Now()
        message.save(update_fields=["dead_at", "give_up_at", "attempts", "next_try_at"])
        record("send_again", migration=message.migration, actor=acting_user, reason=str(message))
    return message


def _signed(subscription_id: int, user: User | None) -> Subscription:
    """One whose messages are signed."""
    permissions.require(user, Verb.EDIT_SUBSCRIPTIONS)
    found = permissions.visible_subscriptions(user).filter(pk=subscription_id).first()
    if found is None:
        raise NotFound(f"There is no subscription {subscription_id}.", code="unknown_subscription")
    if found.channel != Channel.WEBHOOK:
        raise InvalidInput(f"What is sent to {found} is not signed.", hint="Only webhooks are.", code="not_signed")
    return found


def _record(verb: str, subscription: Subscription, actor: User | None, reason: str = "") -> None:
    record(verb, target=f"subscription {subscription}", actor=actor, reason=reason)

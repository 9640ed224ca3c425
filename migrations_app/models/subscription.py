from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.contrib.auth.models import Group
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from migrations_app import rules
from migrations_app.channels import SECRET_IN_URL, Channel, target_problem
from migrations_app.errors import PortalError
from migrations_app.event_types import TRANSITIONS
from migrations_app.webhook_urls import url_of

OLD_KEY_LIVES = timedelta(days=1)
"""How long after a rotation messages carry a signature by the key before as well."""


def every_transition() -> list[str]:
    return list(TRANSITIONS)


class Subscription(models.Model):
    """Who is told of what happens to the apps of a team, and how.

    No secret: the key that signs is derived (delivery/signing.py), and an address that is one itself is named here and
    written elsewhere (webhook_urls.py). Never deleted, only switched off: deliveries belong to it.
    """

    name = models.CharField(max_length=60, unique=True)
    team = models.ForeignKey(
        Group,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="subscriptions",
        help_text="Whose apps it is about; empty: those of every team, and those without one.",
    )
    channel = models.CharField(max_length=10, choices=Channel)
    target = models.CharField(
        max_length=500,
        help_text="Webhook: a URL, or the name of one in MOVES_WEBHOOK_URLS_FILE. Slack: such a name, as the URL is a "
        "secret. Mail: one address, which may be that of a list.",
    )
    events = ArrayField(models.CharField(max_length=40), default=every_transition)
    enabled = models.BooleanField(
        default=True, help_text="Off: nothing is sent, and what waits to be sent is given up."
    )
    key_version = models.PositiveIntegerField(default=1, editable=False)
    key_rotated_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                name="subscription_target_without_secrets",
                condition=~Q(channel__in=[Channel.WEBHOOK, Channel.SLACK]) | ~Q(target__regex=SECRET_IN_URL),
                violation_error_message="Leave logins, tokens and queries out of the URL; name it in "
                "MOVES_WEBHOOK_URLS_FILE instead.",
            ),
            models.CheckConstraint(
                name="subscription_to_slack_by_name",
                condition=~Q(channel=Channel.SLACK) | ~Q(target__contains="/"),
                violation_error_message="The URL of a Slack webhook is a secret: name it in MOVES_WEBHOOK_URLS_FILE.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.team and (no_team := rules.forbids_owner(self.team.name)):
            raise ValidationError({"team": f"{no_team.reason} {no_team.hint}"})
        if not self.channel or not self.target:
            return  # the form says so itself
        if problem := target_problem(self.channel, self.target):
            raise ValidationError({"target": f"{problem.reason} {problem.hint}"})
        if not self.enabled:
            return  # whatever is missing by now: it can be switched off
        if missing := self._setting_missing():
            raise ValidationError({"channel": missing})
        if self.channel != Channel.MAIL:
            try:
                url_of(self.target)
            except PortalError as error:
                raise ValidationError({"target": str(error)}) from error

    def _setting_missing(self) -> str:
        """What the operator has to set before this channel can be used; empty: nothing."""
        if self.channel == Channel.WEBHOOK and not settings.MOVES_WEBHOOK_KEY:
            return "MOVES_WEBHOOK_KEY is not set: nothing could be signed. Set it, and start the portal anew."
        if self.channel == Channel.MAIL and not settings.EMAIL_IS_SET:
            return "EMAIL_URL is not set: no mail could be sent. Set it, and start the portal anew."
        return ""

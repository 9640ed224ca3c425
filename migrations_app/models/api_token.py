from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from migrations_app.states import Scope

LONGEST_NAME = 40
"""So that `token NAME of USER` fits the audit trail's target."""


class ApiToken(models.Model):
    """What a program shows to act as its user. The secret itself is kept nowhere."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="api_tokens")
    name = models.CharField(max_length=LONGEST_NAME, help_text="Where it is used, e.g. nightly CI.")
    digest = models.CharField(
        max_length=64, unique=True, editable=False, help_text="SHA-256 of the secret, in hexadecimal."
    )
    prefix = models.CharField(max_length=12, editable=False, help_text="How the secret begins, to tell it by.")
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope))
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField("expires")
    last_used_at = models.DateTimeField("last used", null=True, blank=True, help_text="To the minute.")
    last_used_from = models.CharField(max_length=100, blank=True, help_text="The address of that caller.")
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "token"
        ordering = ["-created_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="token_name_once_per_user"),
            models.CheckConstraint(
                name="token_scopes_known",
                condition=Q(scopes__contained_by=sorted(Scope), scopes__len__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.user.get_username()}"

    def state_at(self, now: datetime) -> str:
        """active, expired or revoked."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at <= now else "active"

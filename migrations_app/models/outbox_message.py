from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from migrations_app.models.app_migration import AppMigration
from migrations_app.models.audit_event import AuditEvent
from migrations_app.models.subscription import Subscription


class OutboxMessage(models.Model):
    """One event, to be told to one subscription: written in the transaction of what it tells (outbox.py), sent
    afterwards (delivery/sender.py). On the pages it is called a delivery.

    It is pending until `sent_at` or `dead_at` says otherwise.
    """

    key = models.UUIDField(unique=True, default=uuid.uuid4, editable=False, help_text="Webhook-Id: one for all tries.")
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="messages")
    event = models.ForeignKey(AuditEvent, on_delete=models.PROTECT, related_name="messages")
    migration = models.ForeignKey(AppMigration, on_delete=models.PROTECT, related_name="messages", verbose_name="move")
    type = models.CharField("event", max_length=40, help_text="As in event_types.py.")
    payload = models.JSONField(null=True, blank=True, help_text="What is said; made at the first try, then the same.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    attempts = models.PositiveIntegerField("tries", default=0, help_text="Those that have begun.")
    next_try_at = models.DateTimeField("next try", db_default=Now())
    leased_until = models.DateTimeField(null=True, blank=True, help_text="Until then one sender has it.")
    give_up_at = models.DateTimeField(null=True, blank=True, help_text="A day after the first try.")
    sent_at = models.DateTimeField("sent", null=True, blank=True)
    dead_at = models.DateTimeField("dead", null=True, blank=True, help_text="Given up, until somebody sends it again.")
    last_status = models.PositiveSmallIntegerField("last HTTP status", null=True, blank=True)
    last_error = models.TextField(blank=True)

    class Meta:
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"
        ordering = ["-id"]
        permissions = [("resend_message", "Can send a dead delivery again")]
        indexes = [
            models.Index(
                fields=["subscription", "migration", "id"],
                condition=Q(sent_at__isnull=True, dead_at__isnull=True),
                name="messages_pending",
            ),
            models.Index(fields=["dead_at"], condition=Q(dead_at__isnull=False), name="messages_dead"),
            models.Index(fields=["created_at"], name="messages_by_time"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["event", "subscription"], name="event_told_once_per_subscription"),
            models.CheckConstraint(
                name="message_sent_or_dead", condition=Q(sent_at__isnull=True) | Q(dead_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} to {self.subscription}"

    @property
    def webhook_id(self) -> str:
        return f"msg_{self.key.hex}"

    @property
    def state(self) -> str:
        """`sent`, `dead` or `pending`."""
        return "sent" if self.sent_at else "dead" if self.dead_at else "pending"

from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models.functions import Now
from django.utils import timezone

from migrations_app.models.app import App
from migrations_app.models.app_migration import AppMigration
from migrations_app.models.words import Words


class AuditEvent(models.Model):
    """One act of a person, or one transition: when, who, by which surface, what, on what, from → to, why.

    Append-only: triggers refuse UPDATE, DELETE and TRUNCATE, and fill `at`, `chain`, `number`, `previous_hash` and
    `hash` (the migration audit_trail has them). Each move is a chain, what belongs to no move is one more: the hash
    of an event covers all its fields and the hash before it (audit.py says how).
    """

    at = models.DateTimeField(db_default=Now(), editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, help_text="Empty: the portal itself."
    )
    actor_name = models.CharField(max_length=150, blank=True, help_text="As it was then.")
    surface = models.CharField(max_length=20, blank=True)
    address = models.CharField(max_length=100, blank=True)
    verb = models.CharField(max_length=40)
    target = models.CharField(max_length=200, blank=True)
    app = models.ForeignKey(App, on_delete=models.PROTECT, null=True, blank=True, related_name="audit_events")
    migration = models.ForeignKey(
        AppMigration, on_delete=models.PROTECT, null=True, blank=True, related_name="audit_events"
    )
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20, blank=True)
    reason = models.TextField(blank=True)

    chain = models.CharField(max_length=40, default="", editable=False, help_text="The move's id, or portal.")
    number = models.PositiveBigIntegerField(default=0, editable=False, help_text="In its chain, from 1.")
    previous_hash = models.CharField(max_length=64, blank=True, editable=False)
    hash = models.CharField(max_length=64, default="", editable=False)

    class Meta:
        ordering = ["-id"]
        permissions = [("export_audit", "Can export the audit trail")]
        indexes = [
            models.Index(fields=["at"], name="events_by_time"),
            models.Index(fields=["verb", "-id"], name="events_by_verb"),
            models.Index(fields=["surface", "-id"], name="events_by_surface"),
            GinIndex(Words("target", "actor_name", "reason"), name="events_by_words"),
        ]
        constraints = [models.UniqueConstraint(fields=["chain", "number"], name="audit_chain_has_no_fork")]

    def __str__(self) -> str:
        return f"{self.verb.replace('_', ' ')}, {timezone.localtime(self.at):%Y-%m-%d %H:%M:%S %Z}"

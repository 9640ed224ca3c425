from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from migrations_app.models.app import App
from migrations_app.models.app_migration import AppMigration


class AuditEvent(models.Model):
    """One act of a person, or one transition: when, who, by which surface, what, from → to, why."""

    at = models.DateTimeField(db_default=Now(), editable=False)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, help_text="Empty: the portal itself."
    )
    verb = models.CharField(max_length=40)
    app = models.ForeignKey(App, on_delete=models.PROTECT, null=True, blank=True, related_name="audit_events")
    migration = models.ForeignKey(
        AppMigration, on_delete=models.PROTECT, null=True, blank=True, related_name="audit_events"
    )
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20, blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.verb}"

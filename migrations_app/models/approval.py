from __future__ import annotations

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from migrations_app.models.app_migration import AppMigration
from migrations_app.models.words import Words
from migrations_app.states import Act, ApprovalState


class Approval(models.Model):
    """One request for a second person's consent, and what became of it.

    `subject` is what is to be approved, `fingerprint` its SHA-256: the consent counts for that and nothing else.
    """

    act = models.CharField(max_length=10, choices=Act)
    migration = models.ForeignKey(AppMigration, on_delete=models.PROTECT, related_name="approvals")
    state = models.CharField(max_length=10, choices=ApprovalState, default=ApprovalState.OPEN)
    subject = models.JSONField(help_text="app, regions, strategy, start time, and what preflight found.")
    fingerprint = models.CharField(max_length=64)
    reason = models.TextField()
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="approvals_requested",
        help_text="Empty: somebody at the portal's own shell.",
    )
    requested_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(help_text="Open: decided on by then. Approved: begun by then.")
    decided_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="approvals_decided"
    )
    decided_at = models.DateTimeField(null=True, blank=True)
    comment = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["state", "-id"], name="approvals_by_state"),
            GinIndex(Words("reason"), name="approvals_by_words"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["migration"], condition=Q(state=ApprovalState.OPEN), name="one_open_approval_per_move"
            ),
            models.CheckConstraint(
                name="nobody_approves_their_own",
                condition=~Q(state=ApprovalState.APPROVED)
                | Q(requested_by__isnull=True)
                | ~Q(decided_by=F("requested_by")),
            ),
            models.CheckConstraint(
                name="an_approval_has_an_approver",
                condition=~Q(state=ApprovalState.APPROVED) | Q(decided_by__isnull=False),
            ),
            models.CheckConstraint(name="approval_state_known", condition=Q(state__in=sorted(ApprovalState))),
        ]

    def __str__(self) -> str:
        return f"{self.act} of {self.migration}: {self.state}"

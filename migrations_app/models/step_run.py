from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from migrations_app.models.app_migration import AppMigration
from migrations_app.states import Direction, RunStatus, Step


class StepRun(models.Model):
    """One recorded attempt at one step, in the order in which they began."""

    migration = models.ForeignKey(AppMigration, on_delete=models.CASCADE, related_name="step_runs")
    step = models.CharField(max_length=40, choices=Step)
    direction = models.CharField(max_length=4, choices=Direction, default=Direction.DO)
    attempt = models.PositiveIntegerField(default=1)
    status = models.CharField(max_length=12, choices=RunStatus, default=RunStatus.RUNNING)
    reason = models.TextField(blank=True, help_text="Why it was skipped, or what failed.")
    error_code = models.CharField(max_length=60, blank=True)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)
    progress_done = models.BigIntegerField(null=True, blank=True)
    progress_total = models.BigIntegerField(null=True, blank=True)
    progress_unit = models.CharField(max_length=12, blank=True)
    progress = models.JSONField(
        default=dict, blank=True, help_text="Bytes and rows of each table, rate, time left, lag; see docs/steps.md."
    )
    acts = models.JSONField(
        default=list, blank=True, help_text="The log people read: [{at, text}], in the order they happened."
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["migration", "step", "direction", "attempt"], name="one_run_per_step_and_attempt"
            ),
            models.UniqueConstraint(
                fields=["migration"], condition=models.Q(status=RunStatus.RUNNING), name="one_running_step_per_move"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.direction} {self.step} #{self.attempt}: {self.status}"

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from migrations_app import rules
from migrations_app.models.app import App
from migrations_app.models.lease import Leased
from migrations_app.models.region import Region
from migrations_app.models.words import Words
from migrations_app.states import ACTIVE, Kind, Status, Step, Strategy

LONG_FIELDS = ("facts", "preflight", "verification", "estimate")
"""Read where they are shown; lists leave them out."""


class AppMigration(Leased):
    """One attempt to bring one App to one Region: "a move"."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="migrations")
    kind = models.CharField(max_length=10, choices=Kind, default=Kind.MOVE)
    strategy = models.CharField(max_length=10, choices=Strategy, default=Strategy.SNAPSHOT)
    strategy_reason = models.TextField(blank=True, help_text="Why `auto` chose it.")
    source_region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="moves_from")
    dest_region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="moves_to")
    reverses = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="reversals", help_text="For a reverse."
    )
    reason = models.TextField(blank=True)
    ticket_url = models.URLField("ticket", blank=True)
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="moves_requested"
    )
    not_before = models.DateTimeField(null=True, blank=True)
    block_budget_seconds = models.PositiveIntegerField(
        null=True, blank=True, help_text="How long writes may stay blocked before the pivot; empty: as set for all."
    )

    status = models.CharField(max_length=20, choices=Status, default=Status.QUEUED)
    current_step = models.CharField(max_length=40, choices=Step, default=Step.REQUESTED)
    step_started_at = models.DateTimeField(null=True, blank=True)
    retry_count = models.PositiveSmallIntegerField(default=0, help_text="Tries of the current step after the first.")
    next_try_at = models.DateTimeField(
        "next try", null=True, blank=True, help_text="While a step that failed waits to be tried again."
    )
    worker_deaths = models.PositiveSmallIntegerField(default=0, help_text="On the current step.")
    last_error = models.TextField(blank=True)
    last_error_code = models.CharField(max_length=60, blank=True)
    ends_as = models.CharField(
        max_length=20,
        choices=[(Status.ABORTED, "aborted"), (Status.FAILED, "failed"), (Status.COMPLETED, "completed")],
        blank=True,
        help_text="While aborting: the status once everything is undone.",
    )

    initiated_at = models.DateTimeField(db_default=Now(), editable=False)
    writes_blocked_at = models.DateTimeField(null=True, blank=True)
    writes_unblocked_at = models.DateTimeField(null=True, blank=True)
    pivot_at = models.DateTimeField(null=True, blank=True, help_text="From here only forward.")
    completed_at = models.DateTimeField(null=True, blank=True, help_text="When it came to its end, whichever.")

    facts = models.JSONField(default=dict, blank=True, help_text="What the steps need to remember; see docs/steps.md.")
    preflight = models.JSONField(
        default=list, blank=True, help_text="What preflight found last: [{check, outcome, found, why, remedy}]."
    )
    verification = models.JSONField(null=True, blank=True, help_text="The comparison of both sides before the pivot.")
    estimate = models.JSONField(
        null=True, blank=True, help_text="What the move was expected to take when it was asked for."
    )

    class Meta:
        verbose_name = "move"
        ordering = ["-initiated_at"]
        permissions = [
            ("request_move", "Can request a move, and withdraw the request"),
            ("approve_move", "Can approve and reject what others ask for"),
            ("abort_move", "Can abort a move"),
            ("retry_move", "Can let a held move go on"),
            ("reverse_move", "Can reverse a move"),
        ]
        indexes = [
            models.Index(fields=["-initiated_at", "-id"], name="moves_by_time"),
            models.Index(fields=["status", "-initiated_at", "-id"], name="moves_by_status"),
            models.Index(fields=["app", "-initiated_at"], name="moves_of_an_app"),
            # What estimates.py measures by.
            models.Index(
                fields=["source_region", "dest_region", "kind", "-completed_at"],
                condition=Q(status=Status.COMPLETED),
                name="moves_completed_between",
            ),
            GinIndex(Words("reason", "ticket_url"), name="moves_by_words"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["app"], condition=Q(status__in=sorted(ACTIVE)), name="one_active_move_per_app"
            ),
            models.UniqueConstraint(
                fields=["reverses"],
                condition=Q(reverses__isnull=False) & ~Q(status__in=[Status.ABORTED, Status.FAILED]),
                name="one_reverse_per_move",
            ),
            models.CheckConstraint(
                name="move_changes_region",
                condition=~Q(source_region=F("dest_region")),
                violation_error_message="The destination is the region the app is in.",
            ),
            models.CheckConstraint(
                name="reverse_names_what_it_reverses",
                condition=Q(kind=Kind.REVERSE, strategy=Strategy.REVERSE, reverses__isnull=False)
                | (Q(kind=Kind.MOVE, reverses__isnull=True) & Q(strategy__in=[Strategy.SNAPSHOT, Strategy.LIVE]))
                | Q(kind=Kind.REHEARSAL, strategy=Strategy.REHEARSAL, reverses__isnull=True),
            ),
            models.CheckConstraint(
                name="no_undo_past_the_pivot",
                condition=Q(pivot_at__isnull=True) | ~Q(status__in=[Status.ABORTING, Status.ABORTED]),
            ),
            models.CheckConstraint(
                name="completed_passed_the_pivot",
                condition=~Q(status=Status.COMPLETED) | Q(pivot_at__isnull=False) | Q(kind=Kind.REHEARSAL),
            ),
            models.CheckConstraint(name="move_status_known", condition=Q(status__in=sorted(Status))),
        ]

    def __str__(self) -> str:
        return f"{self.app} {self.source_region} → {self.dest_region}"

    def clean(self) -> None:
        if self._state.adding and self.app_id and self.dest_region_id:
            blockers = rules.forbids_move(self.app.move_facts(self.dest_region, Kind(self.kind)))
            if blockers:
                raise ValidationError({"dest_region": [f"{b.reason} {b.hint}".strip() for b in blockers]})

    @property
    def name_in_regions(self) -> str:
        """Name of what the move makes in the regions: slot, publication, subscription, role."""
        return f"portal_{self.id.hex[:16]}"

    @property
    def block_budget(self) -> int:
        """Seconds that writes may stay blocked before the pivot; past it the move aborts itself."""
        return self.block_budget_seconds or settings.MOVES_BLOCK_BUDGET_SECONDS[self.strategy]

    @property
    def blocked_seconds(self) -> float | None:
        """How long writes were blocked; None if they never were, or still are."""
        if self.writes_blocked_at is None or self.writes_unblocked_at is None:
            return None
        return (self.writes_unblocked_at - self.writes_blocked_at).total_seconds()

    def fact(self, key: str, default: Any = None) -> Any:
        return self.facts.get(key, default)

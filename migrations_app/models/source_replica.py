from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from migrations_app.models.app import App
from migrations_app.models.app_migration import AppMigration
from migrations_app.models.lease import Leased
from migrations_app.models.region import Region
from migrations_app.states import REPLICA_OPEN, ReplicaState

GIGABYTE = 10**9
LOST = frozenset({"lost", "missing"})
"""States of a slot without which a replica never becomes current again."""


def first_review() -> datetime:
    """By when somebody looks at a replica that is put on the books now."""
    return timezone.now() + timedelta(days=settings.MOVES_REPLICA_REVIEW_DAYS)


class SourceReplica(Leased):
    """The copy a move left behind, kept current by reverse replication, until it is reversed or torn down."""

    migration = models.OneToOneField(AppMigration, on_delete=models.PROTECT, related_name="source_replica")
    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="source_replicas")
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="source_replicas")
    state = models.CharField(max_length=12, choices=ReplicaState, default=ReplicaState.RETAINED)
    size_bytes = models.BigIntegerField(default=0, help_text="Database and blobs, when it was left behind.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    review_at = models.DateTimeField(
        "keep until",
        default=first_review,
        help_text="By then somebody looks whether it is still needed; past it that is an alarm.",
    )
    ended_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True)
    acts = models.JSONField(default=list, blank=True, help_text="The log of its teardown: [{at, text}].")

    # What the reconciler's watch saw last, while it is retained (engine/watching.py).
    watched_at = models.DateTimeField(null=True, blank=True, help_text="When these figures were read.")
    problem = models.TextField(blank=True, help_text="What is wrong with it, in a sentence; empty: nothing.")
    problem_code = models.CharField(
        max_length=20,
        blank=True,
        default="",
        db_default="",  # a worker of the version before completes moves without it
        editable=False,
        help_text="Of which kind that is: the code of its alarm.",
    )
    lag_bytes = models.BigIntegerField(null=True, blank=True, help_text="WAL that it has not confirmed yet.")
    lag_seconds = models.FloatField(null=True, blank=True, help_text="How long it is behind.")
    retained_bytes = models.BigIntegerField(
        null=True, blank=True, help_text="WAL that the app's region keeps for it, on its disk."
    )
    wal_status = models.CharField(
        max_length=12, blank=True, help_text="Of its slot: reserved, extended, unreserved or lost; or missing."
    )
    mark_lsn = models.CharField(max_length=20, blank=True, editable=False, help_text="The position it is to reach.")
    mark_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="When that was the newest.")
    history = models.JSONField(
        default=list,
        blank=True,
        editable=False,
        help_text="[[time, lag_bytes, lag_seconds]], about every five minutes of the last day; null: no stream.",
    )
    apply_errors = models.BigIntegerField(default=0, editable=False, help_text="As its region counts them.")

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["-created_at", "-id"], name="replicas_by_time"),
            models.Index(fields=["state", "-created_at", "-id"], name="replicas_by_state"),
        ]
        permissions = [("teardown_replica", "Can give a way back up")]
        constraints = [
            models.UniqueConstraint(
                fields=["app"], condition=Q(state__in=sorted(REPLICA_OPEN)), name="one_open_replica_per_app"
            ),
            models.CheckConstraint(name="replica_state_known", condition=Q(state__in=sorted(ReplicaState))),
        ]

    def __str__(self) -> str:
        return f"{self.app} in {self.region}: {self.state}"

    @property
    def is_troubled(self) -> bool:
        """It is kept as a way back, and something is wrong with it."""
        return bool(self.problem) and self.state == ReplicaState.RETAINED

    @property
    def is_lost(self) -> bool:
        """Its slot is gone, and with it what it would need to become current: no look at it will find that mended."""
        return self.wal_status in LOST

    @property
    def estimated_monthly_cost_usd(self) -> Decimal:
        """Its size times the region's price per gigabyte (10⁹ bytes) and month."""
        cost = Decimal(self.size_bytes) / GIGABYTE * self.region.cost_per_gb_month_usd
        return cost.quantize(Decimal("0.01"))

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from migrations_app.models.app_migration import AppMigration
from migrations_app.models.region import Region


class AlarmCode(models.TextChoices):
    """What somebody has to look after. The reconciler raises them and ends them; held moves say so by their status."""

    REDIS_AWAY = "redis_away"  # nobody can ring for workers
    NO_WORKER = "no_worker"  # something is due in a region, and no worker takes it
    REGION_AWAY = "region_away"  # the cluster does not answer the watch
    SLOT_LOST = "slot_lost"  # the primary's slot is gone, or about to be: with it the way back
    REPLICA_STOPPED = "replica_stopped"  # the replica does not apply what the primary sends
    REPLICA_DRIFTED = "replica_drifted"  # the tables are not the same on both sides
    WAL_PILES_UP = "wal_piles_up"  # the primary keeps so much for the replica that its disk may fill
    REPLICA_LAGS = "replica_lags"
    REPLICA_OVERDUE = "replica_overdue"  # its day has come: is it still needed?
    DELIVERY_DEAD = "delivery_dead"  # a webhook or a mail was given up: somebody does not know what happened
    DELIVERIES_WAIT = "deliveries_wait"  # nobody sends what is in the outbox
    RECONCILER_SILENT = "reconciler_silent"  # never a row: nobody would be there to raise it; told from its heartbeat


class Alarm(models.Model):
    """Something that is wrong and wants somebody's attention, from when it was first seen until it was so no more."""

    code = models.CharField(
        max_length=20, choices=[(code, code) for code in AlarmCode if code != AlarmCode.RECONCILER_SILENT]
    )
    about = models.CharField(max_length=100, help_text="E.g. queue moves-eu-west-1, region eu-west-1, replica 7.")
    sentence = models.TextField("what is wrong")
    hint = models.TextField("what to do", blank=True)
    region = models.ForeignKey(Region, on_delete=models.CASCADE, null=True, blank=True, related_name="+")
    migration = models.ForeignKey(
        AppMigration, on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name="move"
    )
    since = models.DateTimeField(db_default=Now(), editable=False)
    seen_at = models.DateTimeField(db_default=Now(), editable=False, help_text="When it was last found to be so.")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-since", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["code", "about"], condition=Q(ended_at__isnull=True), name="one_open_alarm_of_a_kind"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code}: {self.about}"

    @property
    def is_bad(self) -> bool:
        """Something is wrong; that a replica should be looked at again is a question only."""
        return self.code != AlarmCode.REPLICA_OVERDUE


class Heartbeat(models.Model):
    """When a process that everything depends on was last heard of; a row for each."""

    name = models.CharField(max_length=40, primary_key=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name

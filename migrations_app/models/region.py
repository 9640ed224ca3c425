from __future__ import annotations

from datetime import timedelta
from typing import NoReturn
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from migrations_app import rules
from migrations_app.models import names
from migrations_app.window import WEEKDAYS, Window


class Region(models.Model):
    """A place apps can live: a PostgreSQL cluster, a blob store, a runtime host.

    Parts are named as the field's own tools name them; passwords are in those tools' own files. Never deleted, only
    closed to moves.
    """

    slug = models.CharField(max_length=40, unique=True, validators=[names.slug])
    name = models.CharField(max_length=100, blank=True)
    database = models.TextField(
        help_text="libpq connection string of a superuser, without a password, e.g. host=db.eu port=5432 user=portal "
        "dbname=postgres. The password comes from PGPASSFILE."
    )
    conn_from_regions = models.TextField(
        blank=True, help_text="The same cluster as other regions reach it, if under another address."
    )
    blobs = models.TextField(blank=True, help_text="rclone remote path that holds the apps' buckets, e.g. eu-west-1:")
    runtime_url = models.CharField(
        max_length=200, blank=True, help_text="supervisord's XML-RPC interface, e.g. http://10.2.0.4:9001/RPC2"
    )
    runtime_path = models.TextField(blank=True, help_text="rclone path of the folder its programs are deployed to.")
    app_host = models.CharField(max_length=200, blank=True, help_text="Address under which edges reach its apps.")
    accepts_moves = models.BooleanField(default=True, help_text="Off: no move may come here or leave.")
    concurrent_moves = models.PositiveSmallIntegerField(
        default=2, help_text="How many moves may be under way here at once, coming or going."
    )
    cost_per_gb_month_usd = models.DecimalField(
        max_digits=8, decimal_places=4, default=0, help_text="For the estimated cost of retained replicas."
    )
    time_zone = models.CharField(
        max_length=60, default="UTC", validators=[names.time_zone], help_text="Of its window, e.g. Europe/Berlin."
    )
    window_day = models.PositiveSmallIntegerField(
        "maintenance window",
        null=True,
        blank=True,
        choices=list(enumerate(WEEKDAYS)),
        help_text="Moves from and to here begin in this weekly window only; empty: at any time. Reverses do not wait.",
    )
    window_opens = models.TimeField(null=True, blank=True, help_text="In the region's time zone.")
    window_minutes = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="How long it stays open for moves to begin; 10080 are a week."
    )

    class Meta:
        ordering = ["slug"]
        constraints = [
            models.CheckConstraint(
                name="region_database_without_password",
                condition=~Q(database__iregex=rules.CONNINFO_PASSWORD)
                & ~Q(conn_from_regions__iregex=rules.CONNINFO_PASSWORD),
                violation_error_message="Leave the password out of the connection string; put it into PGPASSFILE.",
            ),
            models.CheckConstraint(
                name="region_addresses_without_secrets",
                condition=~Q(runtime_url__iregex=rules.CONNINFO_PASSWORD)
                & ~Q(blobs__regex=rules.INLINE_OPTIONS)
                & ~Q(runtime_path__regex=rules.INLINE_OPTIONS),
                violation_error_message="Leave keys and passwords out of addresses; they belong in rclone's own "
                "configuration and in .netrc.",
            ),
            models.CheckConstraint(
                name="region_window_is_whole",
                condition=Q(window_day__isnull=True, window_opens__isnull=True, window_minutes__isnull=True)
                | Q(
                    window_day__isnull=False,
                    window_day__range=(0, 6),
                    window_opens__isnull=False,
                    window_minutes__isnull=False,
                    window_minutes__range=(1, 7 * 24 * 60),
                ),
                violation_error_message="A maintenance window has a day, a time and 1 to 10080 minutes, or none.",
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    def clean(self) -> None:
        checks = {
            rules.connection_string_problem: ("database", "conn_from_regions"),
            rules.address_problem: ("runtime_url", "blobs", "runtime_path"),
        }
        problems = {
            field: [blocker.reason + " " + blocker.hint]
            for check, fields in checks.items()
            for field in fields
            if (blocker := check(getattr(self, field)))
        }
        if problems:
            raise ValidationError(problems)

    def delete(self, *args: object, **kwargs: object) -> NoReturn:
        raise ValidationError("A region is never deleted. Close it to moves instead.")

    @property
    def window(self) -> Window | None:
        """When moves may begin here; None: at any time."""
        if self.window_day is None or self.window_opens is None or self.window_minutes is None:
            return None
        return Window(
            self.window_day, self.window_opens, timedelta(minutes=self.window_minutes), ZoneInfo(self.time_zone)
        )

    @property
    def address_for_regions(self) -> str:
        """Connection string under which another region reaches this cluster."""
        return self.conn_from_regions or self.database

from __future__ import annotations

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from migrations_app import rules
from migrations_app.models import names
from migrations_app.models.region import Region
from migrations_app.states import ACTIVE, REPLICA_OPEN, Kind
from migrations_app.window import windows_meet

MOVED_FIELDS = ("region", "database", "blobs", "program", "hostname", "port")


_OF_REPLICA = ("app", "state", "migration", "region__slug", "wal_status", "problem_code")
"""What the rules look at."""


class App(models.Model):
    """What is moved: a database, and where it has them blobs, a program and a host name. Lives in one region."""

    slug = models.CharField(max_length=40, unique=True, validators=[names.slug])
    owner = models.ForeignKey(
        Group, on_delete=models.PROTECT, null=True, blank=True, related_name="apps", help_text="The team."
    )
    region = models.ForeignKey(Region, on_delete=models.PROTECT, related_name="apps")
    database = models.CharField(max_length=63, validators=[names.identifier])
    blobs = models.CharField(
        max_length=63, blank=True, validators=[names.slug], help_text="Its bucket, or empty if it has no blobs."
    )
    program = models.CharField(
        max_length=63,
        blank=True,
        validators=[names.slug],
        help_text="Its program under the region's supervisord, or empty if it has no runtime.",
    )
    hostname = models.CharField(max_length=253, blank=True, validators=[names.hostname])
    port = models.PositiveIntegerField(null=True, blank=True, help_text="Where its process listens, in every region.")
    health_path = models.CharField(max_length=200, default="/healthz")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["slug"]
        permissions = [("see_every_team", "Can see and act on the apps of every team")]
        constraints = [
            models.UniqueConstraint(fields=["hostname"], condition=~Q(hostname=""), name="app_hostname_once"),
            models.UniqueConstraint(fields=["region", "database"], name="app_database_once_per_region"),
            models.CheckConstraint(
                name="app_program_has_port",
                condition=Q(program="") | Q(port__isnull=False),
                violation_error_message="An app with a program needs the port it listens on.",
            ),
        ]

    def __str__(self) -> str:
        return self.slug

    @property
    def is_routed(self) -> bool:
        """Edges send traffic to it."""
        return bool(self.hostname and self.port)

    def upstream_in(self, region: Region) -> str:
        """`host:port` under which edges reach the app in `region`."""
        return f"{region.app_host}:{self.port}"

    def clean(self) -> None:
        no_team = rules.forbids_owner(self.owner.name) if self.owner else None
        if no_team:
            raise ValidationError({"owner": f"{no_team.reason} {no_team.hint}"})
        before = App.objects.filter(pk=self.pk).first()
        if before is None:
            return
        changed = [name for name in MOVED_FIELDS if getattr(before, name) != getattr(self, name)]
        facts = before.move_facts(before.region)
        blocker = rules.forbids_edit(facts) if changed else None
        if blocker:
            raise ValidationError({name: f"{blocker.reason} {blocker.hint}" for name in changed})

    def move_facts(self, dest: Region, kind: Kind = Kind.MOVE) -> rules.MoveFacts:
        """What the rules on a move to `dest` look at, as it is now: of the one active move and the one open replica
        there can be, the fields they name."""
        active = self.migrations.filter(status__in=ACTIVE).order_by().only("app", "status")
        replica = self.source_replicas.filter(state__in=REPLICA_OPEN).order_by().select_related("region")
        return rules.MoveFacts(
            app=self,
            dest=dest,
            kind=kind,
            active=next(iter(active), None),
            windows_meet=self.region == dest or windows_meet(self.region.window, dest.window),
            replica=next(iter(replica.only(*_OF_REPLICA)), None),
        )

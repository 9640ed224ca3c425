from __future__ import annotations

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from migrations_app import rules
from migrations_app.models import names
from migrations_app.models.region import Region
from migrations_app.models.selecting import one_of, select
from migrations_app.states import ACTIVE, REPLICA_OPEN, Kind
from migrations_app.window import windows_meet

MOVED_FIELDS = ("region", "database", "blobs", "program", "hostname", "port")


_OF_REPLICA = ("id", "app_id", "state", "migration_id", "region_id", "wal_status", "problem_code")
"""What the rules look at."""
_FACTS = f"""
FROM (VALUES (0)) AS one
LEFT JOIN migrations_app_appmigration AS active ON active.app_id = %(app)s AND active.status {one_of(ACTIVE)}
LEFT JOIN migrations_app_sourcereplica AS replica ON replica.app_id = %(app)s AND replica.state {one_of(REPLICA_OPEN)}
LEFT JOIN migrations_app_region AS region ON region.id = replica.region_id
"""


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
        moves, replicas = self.migrations.model, self.source_replicas.model
        [(active, replica, region)] = select(
            _FACTS,
            {"app": self.pk},
            active=(moves, ("id", "app_id", "status")),
            replica=(replicas, _OF_REPLICA),
            region=(type(dest), ("id", "slug")),
        )
        if replica is not None:
            replica.region = region
        return rules.MoveFacts(
            app=self,
            dest=dest,
            kind=kind,
            active=active,
            windows_meet=self.region == dest or windows_meet(self.region.window, dest.window),
            replica=replica,
        )

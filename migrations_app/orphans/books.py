"""What the books say there should be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Literal

from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.states import ACTIVE, REPLICA_OPEN, ReplicaState, Status

Field = Literal["database", "blobs", "program"]

MADE: dict[Field, str] = {"database": "database_reserved", "blobs": "bucket_made", "program": "program_reserved"}
"""The fact by which a move remembers that it made the thing at its destination (docs/steps.md)."""


@dataclass(frozen=True)
class Books:
    """`moves`: the latest first."""

    regions: list[Region]
    moves: list[AppMigration]
    replicas: list[SourceReplica]
    apps: list[App]

    @classmethod
    def read(cls, over: AppMigration | None = None) -> Books:
        """`over` is read as failed. Moves before replicas: one that is completed by the first has its replica in the
        second."""
        rows = AppMigration.objects.select_related("app", "source_region", "dest_region")
        moves = list(rows.defer("preflight", "verification").order_by("-initiated_at"))
        for move in moves:
            if move == over:
                move.status = Status.FAILED
        return cls(
            list(Region.objects.all()),
            moves,
            list(SourceReplica.objects.select_related("app", "region", "migration").defer("acts")),
            list(App.objects.select_related("region")),
        )

    @cached_property
    def named(self) -> dict[str, AppMigration]:
        """Moves by the name they have in the regions."""
        return {move.name_in_regions: move for move in self.moves}

    @cached_property
    def moves_of(self) -> dict[int, list[AppMigration]]:
        found = defaultdict(list)
        for move in self.moves:
            found[move.app_id].append(move)
        return found

    @cached_property
    def replicas_of(self) -> dict[int, list[SourceReplica]]:
        found = defaultdict(list)
        for replica in self.replicas:
            found[replica.app_id].append(replica)
        return found

    def active(self, app: App) -> AppMigration | None:
        return next((move for move in self.moves_of.get(app.pk, []) if move.status in ACTIVE), None)

    def open_replica(self, app: App) -> SourceReplica | None:
        return next((replica for replica in self.replicas_of.get(app.pk, []) if replica.state in REPLICA_OPEN), None)

    def has_replica_in(self, app: App, region: Region) -> bool:
        replica = self.open_replica(app)
        return replica is not None and replica.region_id == region.pk

    def is_used(self, region: Region, field: Field, name: str) -> bool:
        """Some app of that database, bucket or program lives in the region, has its replica there, or comes or goes."""
        return any(getattr(app, field) == name and self.needs(app, region) for app in self.apps)

    def needs(self, app: App, region: Region) -> bool:
        """The app lives there, has its replica there, or comes or goes."""
        active = self.active(app)
        return (
            app.region_id == region.pk
            or self.has_replica_in(app, region)
            or (active is not None and region.pk in (active.source_region_id, active.dest_region_id))
        )

    def left_by(self, app: App, region: Region, field: Field) -> AppMigration | None:
        """The move that left the app's thing in the region, or made it there; else what is there is not the app's."""

        def left(move: AppMigration) -> bool:
            took_away = move.source_region_id == region.pk and move.pk in self._left_replicas
            return took_away or (move.dest_region_id == region.pk and bool(move.fact(MADE[field])))

        return self._latest(app, left)

    def fenced_by(self, app: App) -> AppMigration | None:
        """The move that fenced the app's database last, where it lives now."""
        return self._latest(
            app,
            lambda move: (
                "flag" in move.fact("source", {}) and app.region_id in (move.source_region_id, move.dest_region_id)
            ),
        )

    def _latest(self, app: App, which: Callable[[AppMigration], bool]) -> AppMigration | None:
        return next((move for move in self.moves_of.get(app.pk, []) if which(move)), None)

    def end(self, move: AppMigration, region: Region) -> datetime | None:
        """When nothing of the move was to be in the region any more; None while something may be."""
        replica = self._left_replicas.get(move.pk)
        return replica.ended_at if replica and replica.region_id == region.pk else move.completed_at

    @cached_property
    def _left_replicas(self) -> dict[object, SourceReplica]:
        """Replicas by the move that left them, open or not."""
        return {replica.migration_id: replica for replica in self.replicas}

    def roles_made(self, region: Region) -> set[str]:
        return {name for move in self.moves if move.dest_region == region for name in move.fact("roles_made", [])}

    def is_being_torn_down(self, move: AppMigration) -> bool:
        replica = self._left_replicas.get(move.pk)
        return replica is not None and replica.state == ReplicaState.TEARING_DOWN

    def keeps_dump(self, move: AppMigration) -> bool:
        """It is under way, or its dump is the backup of an app that still has a replica."""
        return move.status in ACTIVE or (move.pk in self._left_replicas and self.open_replica(move.app) is not None)

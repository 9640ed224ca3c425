"""What goes on in regions now, as far as somebody sees it. A constant number of queries, however many regions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from django.contrib.auth.models import User

from migrations_app import alarms, workers
from migrations_app.dashboard.display import badge, list_of
from migrations_app.dashboard.shared import shared
from migrations_app.models import Alarm, Region
from migrations_app.models.alarm import AlarmCode
from migrations_app.models.selecting import one_of
from migrations_app.models.source_replica import GIGABYTE
from migrations_app.permissions import IN_SIGHT, seen_by, sees_every_team, sight_of
from migrations_app.prepared import prepared
from migrations_app.states import ACTIVE, REPLICA_OPEN, Status
from migrations_app.units import size

_UNDER_WAY = ACTIVE - {Status.AWAITING_APPROVAL, Status.QUEUED}
"""Statuses of a move that has begun: it takes one of the places for moves in both of its regions."""


@dataclass
class RegionNow:
    """Apps, moves under way and open replicas are those that the viewer sees; `of_all`: of every team. `workers` is
    None while Redis does not answer, `alarms` where none is shown but nobody can say that there is none."""

    region: Region
    apps: int = 0
    moves: int = 0
    replicas: int = 0
    replica_bytes: int = 0
    workers: int | None = None
    alarms: list[Alarm] | None = field(default_factory=list)
    of_all: bool = True

    @property
    def monthly_cost_usd(self) -> Decimal:
        """Of the replicas, as SourceReplica reckons it."""
        cost = Decimal(self.replica_bytes) / GIGABYTE * self.region.cost_per_gb_month_usd
        return cost.quantize(Decimal("0.01"))

    @property
    def open_badge(self) -> str:
        return badge("done", "open") if self.region.accepts_moves else badge("torn_down", "closed")

    @property
    def head_badge(self) -> str:
        """open_badge, in the colours of what is wrong."""
        if not (self.trouble and self.region.accepts_moves):
            return self.open_badge
        return badge("fail" if self._is_bad else "warn", "open")

    @property
    def workers_badge(self) -> str:
        if self.workers is None:
            return badge("warn", "unknown")
        return str(self.workers) if self.workers else badge("warn", "none")

    @property
    def health_badge(self) -> str:
        if self.alarms is None:
            return badge("pending", "unknown")
        count = len(self.alarms)
        if not count:
            return badge("pass", "well")
        return badge("fail" if self._is_bad else "warn", f"{count} alarm{'' if count == 1 else 's'}")

    @property
    def tone(self) -> str:
        """Of the region as a whole: what is wrong before whether it is open."""
        if self._is_bad:
            return "bad"
        if self.trouble:
            return "ask"
        return "good" if self.region.accepts_moves else "quiet"

    @property
    def _is_bad(self) -> bool:
        return any(alarm.is_bad for alarm in self.alarms or ())

    @property
    def trouble(self) -> str:
        """Why moves may come by the books and will not get far; empty: nothing that is known."""
        if any(alarm.code == AlarmCode.REGION_AWAY for alarm in self.alarms or ()):
            return f"{self.region} is away: its database does not answer."
        if self.workers == 0:
            return f"No worker is there: a move to {self.region} would wait."
        return ""

    @property
    def alarms_url(self) -> str:
        return list_of(Alarm, region__id__exact=self.region.pk)

    @property
    def moves_in_words(self) -> str:
        """How many are under way, of those that may be; who does not see every team is told of what they see."""
        return f"{self.moves} of {self.region.concurrent_moves}" if self.of_all else f"{self.moves} seen"

    @property
    def replicas_in_words(self) -> str:
        """Count, size and cost."""
        if not self.replicas:
            return "None"
        return f"{self.replicas}, {size(self.replica_bytes)}, ${self.monthly_cost_usd} a month"


def regions_now(regions: Iterable[Region], viewer: User | None) -> list[RegionNow]:
    """For each of the regions, in their order."""
    regions = list(regions)
    counts = shared(f"regions:{sight_of(viewer)}", lambda: counted(viewer))
    alone = regions[0] if len(regions) == 1 else None
    return as_counted(regions, viewer, counts, alarms.now_open(viewer, alone))


Counts = dict[str, list[int]]
"""By a region's key: apps, moves under way, open replicas, their bytes."""


def as_counted(
    regions: Iterable[Region], viewer: User | None, counts: Counts, raised: Iterable[Alarm]
) -> list[RegionNow]:
    """regions_now(), where it is known already what counted() says, and which alarms are open."""
    listening, of_all = workers.alive(), sees_every_team(viewer)
    found = {}
    for region in regions:
        apps, moves, replicas, replica_bytes = counts.get(str(region.pk), (0, 0, 0, 0))
        at_work = None if listening is None else listening[region.slug]
        found[region.pk] = RegionNow(region, apps, moves, replicas, replica_bytes, at_work, of_all=of_all)
    _add_alarms(found, viewer, raised)
    return list(found.values())


_COUNTS = f"""
SELECT region.id,
    (SELECT count(*) FROM migrations_app_app AS app WHERE app.region_id = region.id AND {IN_SIGHT}),
    (SELECT count(*) FROM migrations_app_appmigration AS move JOIN migrations_app_app AS app ON app.id = move.app_id
     WHERE region.id IN (move.source_region_id, move.dest_region_id)
         AND move.status {one_of(_UNDER_WAY)} AND {IN_SIGHT}),
    kept.*
FROM migrations_app_region AS region CROSS JOIN LATERAL (
    SELECT count(*), coalesce(sum(size_bytes), 0)::bigint
    FROM migrations_app_sourcereplica AS replica JOIN migrations_app_app AS app ON app.id = replica.app_id
    WHERE replica.region_id = region.id AND replica.state {one_of(REPLICA_OPEN)} AND {IN_SIGHT}
) AS kept
"""  # noqa: S608


def counted(viewer: User | None) -> Counts:
    """As far as the viewer sees."""
    with prepared() as cursor:
        cursor.execute(_COUNTS, {"viewer": seen_by(viewer)})
        return {str(pk): counts for pk, *counts in cursor.fetchall()}


def _add_alarms(found: Mapping[int, RegionNow], viewer: User | None, raised: Iterable[Alarm]) -> None:
    """Of those `raised`, as alarms.now_open() has them. That there is none can be told only to those who would be shown
    it, and while the reconciler looks."""
    here: dict[int | None, list[Alarm]] = defaultdict(list)
    for alarm in raised:
        here[alarm.region_id].append(alarm)
    silent = any(alarm.code == AlarmCode.RECONCILER_SILENT for alarm in here[None])
    for pk, now in found.items():
        now.alarms = here[pk] if sees_every_team(viewer) and not silent else here[pk] or None

"""Where an app lived when, as a map: a lane for each region, a bar for each stay, a lighter one for each replica."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from django.utils.safestring import SafeString

from migrations_app import queries
from migrations_app.dashboard.charts import WIDTH, axis_times
from migrations_app.dashboard.display import Moments, clock, escaped, joined, link, moment, page_of, route
from migrations_app.dashboard.shapes import leading, path, rect
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.models.selecting import select
from migrations_app.states import REPLICA_OPEN, Status
from migrations_app.units import span

LANE, BAR = 34, 18
"""Heights in pixels: of a lane, and of a stay in its middle."""
_SHORTEST = 3.0
"""Of a bar, so that it is seen."""
MOST = 8
"""Of the switches, the last ones: the page links to all the moves."""


_MOVE = (
    *("id", "app_id", "source_region_id", "dest_region_id", "kind", "status"),
    *("initiated_at", "completed_at", "pivot_at"),
)
_REPLICA = (
    *("id", "migration_id", "app_id", "region_id", "state", "created_at", "ended_at", "review_at", "size_bytes"),
    *("watched_at", "lag_bytes", "lag_seconds", "problem", "problem_code", "wal_status"),
)
_SWITCHED = """
FROM migrations_app_appmigration AS move
LEFT JOIN migrations_app_sourcereplica AS replica ON replica.migration_id = move.id
WHERE move.app_id = %(app)s AND move.pivot_at IS NOT NULL ORDER BY move.pivot_at DESC LIMIT %(most)s
"""


class Stay(NamedTuple):
    """The app lived in `region` from `since` until the next switch; `until` is None for where it lives now. `by`: the
    move that brought it."""

    region: Region
    since: datetime
    until: datetime | None
    by: AppMigration | None


class Bar(NamedTuple):
    x: float
    y: float
    width: float
    height: float
    text: str
    href: str | None
    is_now: bool


class Switch(NamedTuple):
    """A move, where it took the app from one lane to another."""

    x: float
    y1: float
    y2: float
    text: str
    href: str


class Row(NamedTuple):
    """A stay or a replica as the table has it. `more`: a link to the move that brought it, or to the replica."""

    what: str
    region: str
    since: datetime
    until: datetime | None
    long: str
    more: str


@dataclass(frozen=True)
class Map:
    """`moves` are those of the app that passed their pivot, the oldest first, each with its replica; `now` is the
    right edge. Without all of them (`is_whole`) it begins with the first there is. `failures` ended with no switch."""

    app: App
    moves: Sequence[AppMigration]
    now: datetime
    is_whole: bool = True
    failures: Sequence[AppMigration] = ()

    @cached_property
    def stays(self) -> list[Stay]:
        """The oldest first."""
        if not self.moves:
            return [Stay(self.app.region, self.app.created_at, None, None)]
        arrivals = [(move.dest_region, _switched(move), move) for move in self.moves]
        stays = [Stay(region, since, following[1], move) for (region, since, move), following in pairwise(arrivals)] + [
            Stay(*arrivals[-1][:2], None, arrivals[-1][2])
        ]
        if self.is_whole:
            first = self.moves[0]
            stays.insert(0, Stay(first.source_region, min(self.app.created_at, stays[0].since), stays[0].since, None))
        return stays

    @cached_property
    def replicas(self) -> list[tuple[SourceReplica, AppMigration]]:
        """Each with the move that left it."""
        kept = [(getattr(move, "source_replica", None), move) for move in self.moves]
        return [(replica, move) for replica, move in kept if replica is not None]

    @property
    def kept_now(self) -> AppMigration | None:
        """The move whose replica is open."""
        return next((move for replica, move in self.replicas if replica.state in REPLICA_OPEN), None)

    @cached_property
    def regions(self) -> list[Region]:
        """The lanes, in the order of their names, which they keep whatever moves."""
        found = {stay.region.pk: stay.region for stay in self.stays}
        found |= {replica.region_id: move.source_region for replica, move in self.replicas}
        return sorted(found.values(), key=lambda region: region.slug)

    @property
    def height(self) -> int:
        return LANE * len(self.regions)

    @property
    def lanes(self) -> list[float]:
        """Where the lines between the lanes are."""
        return [LANE * number for number in range(len(self.regions) + 1)]

    @cached_property
    def _moments(self) -> Moments:
        return Moments()

    @property
    def times(self) -> list[str]:
        return axis_times(self._first, self.now)

    @property
    def bars(self) -> list[Bar]:
        """The stays."""
        return [
            self._bar(
                stay.region,
                stay.since,
                stay.until,
                BAR,
                f"Lived in {stay.region} {self._from_to(stay.since, stay.until)}",
                page_of(stay.by) if stay.by else None,
            )
            for stay in self.stays
        ]

    @property
    def kept(self) -> list[Bar]:
        """The replicas."""
        return [
            self._bar(
                move.source_region,
                replica.created_at,
                _end(replica),
                BAR - 6,
                f"Replica in {move.source_region} {self._from_to(replica.created_at, _end(replica))}: "
                f"{replica.get_state_display().lower()}",
                page_of(replica),
            )
            for replica, move in self.replicas
        ]

    @property
    def switches(self) -> list[Switch]:
        return [
            Switch(
                round(self._x(_switched(move)), 1),
                self._middle(move.source_region),
                self._middle(move.dest_region),
                f"{move.get_kind_display()} {route(move)}, switched {self._moments[_switched(move)]}",
                page_of(move),
            )
            for move in self.moves
        ]

    @cached_property
    def attempts(self) -> list[Switch]:
        """The failures, where the app stayed."""
        return [
            Switch(
                round(self._x(move.completed_at or move.initiated_at), 1),
                self._middle(move.source_region),
                self._middle(move.source_region),
                f"{move.get_kind_display()} {route(move)}, {move.status} {moment(move.completed_at)}",
                page_of(move),
            )
            for move in self.failures
            if move.initiated_at >= self._first and move.source_region in self.regions
        ]

    @property
    def drawing(self) -> SafeString:
        """What stands in the lanes: replicas below, then stays, then what moved the app between them, or failed to."""
        kept = [leading(rect("stay-replica", *bar[:5]), bar.text, bar.href) for bar in self.kept]
        stays = [rect("stay stay-now" if bar.is_now else "stay", *bar[:5]) for bar in self.bars]
        attempts = [
            leading(path("stay-attempt", f"M{at.x} {at.y1}h0", at.text), at.text, at.href) for at in self.attempts
        ]
        switches = [
            leading(
                path("stay-switch", f"M{at.x} {at.y1}V{at.y2}", at.text)
                + path("stay-switch stay-switch-end", f"M{at.x} {at.y2}h0", at.text),
                at.text,
                at.href,
            )
            for at in self.switches
        ]
        shapes = ['<g fill="url(#hatch)">', *kept, "</g>", *stays, *attempts, *switches]
        return joined(shapes)

    @property
    def table(self) -> SafeString:
        """The inside of its body."""
        rows = [
            f'<tr><td>{escaped(row.what)}</td><td>{row.region}</td><td class="time">{self._clock(row.since)}</td>'
            f'<td class="time">{self._clock(row.until) if row.until else "now"}</td><td>{row.long}</td>'
            f"<td>{row.more}</td></tr>"
            for row in self.rows
        ]
        return joined(rows)

    @cached_property
    def description(self) -> str:
        """The map in a sentence."""
        stays = "; ".join(f"{stay.region} from {self._moments[stay.since]}" for stay in self.stays[-5:])
        return f"{len(self.stays)} stays, the last ones: {stays}. {len(self.replicas)} replicas."

    @property
    def rows(self) -> list[Row]:
        """The map as a table, the newest first: stays and replicas by when they began."""
        stays = [
            self._row(
                "Lived in",
                stay.region,
                stay.since,
                stay.until,
                link(stay.by, f"{stay.by.get_kind_display()} {route(stay.by)}") if stay.by else "",
            )
            for stay in self.stays
        ]
        kept = [
            self._row(
                f"Replica ({replica.get_state_display().lower()})",
                move.source_region,
                replica.created_at,
                _end(replica),
                link(replica, "its page"),
            )
            for replica, move in self.replicas
        ]
        return sorted([*kept, *stays], key=lambda row: row.since, reverse=True)

    def _row(self, what: str, region: Region, since: datetime, until: datetime | None, more: str) -> Row:
        return Row(what, link(region), since, until, span(((until or self.now) - since).total_seconds()), more)

    @cached_property
    def _first(self) -> datetime:
        return min([self.stays[0].since, *(replica.created_at for replica, _ in self.replicas)])

    def _bar(
        self, region: Region, since: datetime, until: datetime | None, height: int, text: str, href: str | None
    ) -> Bar:
        left, right = self._x(since), self._x(until or self.now)
        width = max(right - left, _SHORTEST)
        left = min(left, WIDTH - width)
        top = self._middle(region) - height / 2
        return Bar(round(left, 1), top, round(width, 1), height, text, href, until is None)

    def _from_to(self, since: datetime, until: datetime | None) -> str:
        if until is None:
            return f"since {self._moments[since]}, for {span((self.now - since).total_seconds())}"
        return f"from {self._moments[since]} to {self._moments[until]}, for {span((until - since).total_seconds())}"

    def _clock(self, at: datetime) -> str:
        return clock(at, self._moments[at])

    def _middle(self, region: Region) -> float:
        return LANE * ([lane.pk for lane in self.regions].index(region.pk) + 0.5)

    def _x(self, at: datetime) -> float:
        length = self.now - self._first
        return WIDTH * min(max((at - self._first) / length, 0), 1) if length else WIDTH


def map_of(app: App, now: datetime, regions: Sequence[Region], last: Sequence[AppMigration] = ()) -> Map:
    """One query; `regions` are all there are. Of its `last` moves those are marked that ended without a switch."""
    passed = select(
        _SWITCHED,
        {"app": app.pk, "most": MOST + 1},
        move=(AppMigration, _MOVE),
        replica=(SourceReplica, _REPLICA),
    )
    moves = [move for move, _ in passed]
    queries.give_regions(moves, regions)
    for move, replica in passed:
        move.app = app
        queries.give_replica(move, replica)
    failures = [move for move in last if move.status in (Status.ABORTED, Status.FAILED) and not move.pivot_at]
    return Map(app, moves[:MOST][::-1], now, is_whole=len(moves) <= MOST, failures=failures)


def _switched(move: AppMigration) -> datetime:
    assert move.pivot_at is not None  # noqa: S101 — that is what they were chosen by
    return move.pivot_at


def _end(replica: SourceReplica) -> datetime | None:
    return None if replica.state in REPLICA_OPEN else replica.ended_at or replica.created_at

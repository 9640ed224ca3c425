"""A model of the regions, and stand-ins for the steps, the teardown and the preflight that act on it.

What a step does to an app is written here once more, in a few words: which region takes its writes, which is fenced,
which keeps a copy. Clients write all the time, so a step in the wrong order loses a write or forks the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from migrations_app.engine.plan import PIVOT
from migrations_app.engine.teardown import Teardown
from migrations_app.errors import Deferred, PermanentError
from migrations_app.move import Move
from migrations_app.preflight import Finding
from migrations_app.states import Step
from migrations_app.steps import requested

Effect = Callable[[Move], None]


@dataclass
class Place:
    """An app's database in one region."""

    rows: int = 0
    fenced: bool = False
    shut: bool = False
    follows: bool = False
    """The stream from the region that takes writes keeps it current."""

    @property
    def writable(self) -> bool:
        return not (self.fenced or self.shut)


def wait(move: Move) -> None:
    raise Deferred("It waits.", seconds=3600)


@dataclass
class Fate:
    """What befalls a worker: `well` steps go well, `times` there is trouble, `more` go well, and then it waits."""

    well: int = 10**6
    trouble: Effect = wait
    late: bool = False
    """After the step's own work. Never for who waits: that is to have done nothing (states.RunStatus)."""
    times: int = 1
    more: int = 0

    def before(self) -> Effect | None:
        self.well -= 1
        if -self.times <= self.well < 0:
            return None if self._is_late else self.trouble
        return wait if self.well < -self.times - self.more else None

    def after(self) -> Effect | None:
        return self.trouble if self._is_late and -self.times <= self.well < 0 else None

    @property
    def _is_late(self) -> bool:
        return self.late and self.trouble is not wait


@dataclass
class World:
    apps: dict[int, str]
    regions: dict[int, str]
    """Slugs by key."""
    places: dict[tuple[str, str], Place] = field(default_factory=dict)
    """By app and region."""
    acknowledged: Counter[str] = field(default_factory=Counter)
    findings: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What preflight finds in a region: outcome and text."""
    fate: Fate = field(default_factory=Fate)

    def app_of(self, move: Move) -> str:
        return self.apps[move.row.app_id]

    def begin_anew(self, homes: dict[str, str]) -> None:
        """Each app lives in its region, and nowhere else."""
        self.places = {(app, region): Place() for app, region in homes.items()}
        self.acknowledged, self.findings, self.fate = Counter(), {}, Fate()

    def copies(self, app: str) -> dict[str, Place]:
        return {region: place for (name, region), place in self.places.items() if name == app}

    def writable(self, app: str) -> list[str]:
        return [region for region, place in self.copies(app).items() if place.writable]

    def clients_write(self, app: str) -> None:
        """One write, acknowledged by whichever region takes it."""
        takers = self.writable(app)
        assert len(takers) <= 1, f"{app} is writable in {takers}"
        for region in takers:
            place = self.places[app, region]
            place.rows += 1
            self.acknowledged[app] += 1
            assert place.rows == self.acknowledged[app], f"{app} lost writes on its way to {region}"
            for copy in self.copies(app).values():
                copy.rows = place.rows if copy.follows else copy.rows

    def finding(self, region: str) -> tuple[str, str]:
        return self.findings.get(region, ("pass", ""))

    def preflight(self, move: Move, *checks: object) -> list[Finding]:
        """Stands in for preflight.preflight."""
        outcome, text = self.finding(move.dest.slug)
        return [Finding("stand_in", outcome, text)]  # type: ignore[arg-type]


class StandIn:
    """Stands in for a step's module."""

    def __init__(self, step: Step, world: World) -> None:
        self.step, self.world = step, world

    def skip(self, move: Move) -> str:
        return "The replica is current." if move.is_reverse and self.step == Step.RESTORING_DATA else ""

    def do(self, move: Move) -> None:
        self._work(move, partial(_DO.get(self.step, _nothing), self.world))

    def undo(self, move: Move) -> None:
        self._work(move, partial(_UNDO.get(self.step, _nothing), self.world))

    def _work(self, move: Move, effect: Effect) -> None:
        fate, app = self.world.fate, self.world.app_of(move)
        self.world.clients_write(app)
        move.check()
        if strikes := fate.before():
            strikes(move)
        move.check()
        effect(move)
        self.world.clients_write(app)
        if strikes := fate.after():
            strikes(move)


class StandInTeardown:
    """Stands in for what a teardown does in the regions."""

    def __init__(self, world: World) -> None:
        self.world = world

    def end_stream(self, teardown: Teardown) -> None:
        replica, fate = teardown.replica, self.world.fate
        if strikes := fate.before():
            strikes(teardown.move)  # type: ignore[arg-type]
        self.world.places[replica.app.slug, replica.region.slug].follows = False
        if strikes := fate.after():
            strikes(teardown.move)  # type: ignore[arg-type]

    def drop_database(self, teardown: Teardown) -> None:
        replica = teardown.replica
        place = self.world.places.pop((replica.app.slug, replica.region.slug))
        assert not place.writable


def _nothing(world: World, move: Move) -> None: ...


def _source(world: World, move: Move) -> Place:
    return world.places[world.app_of(move), world.regions[move.row.source_region_id]]


def _dest(world: World, move: Move) -> Place:
    return world.places[_at_dest(world, move)]


def _at_dest(world: World, move: Move) -> tuple[str, str]:
    return world.app_of(move), world.regions[move.row.dest_region_id]


def _await_start(world: World, move: Move) -> None:
    requested.do(move)


def _reserve(world: World, move: Move) -> None:
    at = _at_dest(world, move)
    if move.is_reverse:
        if not world.places[at].follows:
            raise PermanentError("The replica does not stream.")
        return
    if not move.fact("database_reserved"):
        assert at not in world.places, f"{at} is there already"
        move.remember(database_reserved=True)
    world.places[at] = Place(fenced=True)


def _give_back(world: World, move: Move) -> None:
    if move.fact("database_reserved"):
        world.places.pop(_at_dest(world, move), None)


def _block(world: World, move: Move) -> None:
    move.stamp("writes_blocked_at")
    _source(world, move).fenced = True
    if move.is_reverse:
        _dest(world, move).shut = False


def _unblock_source(world: World, move: Move) -> None:
    _source(world, move).fenced = False
    move.stamp("writes_unblocked_at")
    if move.is_reverse:
        _dest(world, move).shut = True


def _restore(world: World, move: Move) -> None:
    _dest(world, move).rows = _source(world, move).rows


def _empty(world: World, move: Move) -> None:
    _dest(world, move).rows = 0


def _flip(world: World, move: Move) -> None:
    _source(world, move).shut = True
    if not move.row.pivot_at:
        assert _source(world, move).rows == _dest(world, move).rows
        move.pass_pivot()


def _open_source(world: World, move: Move) -> None:
    _source(world, move).shut = False


def _follow(world: World, move: Move) -> None:
    assert not world.writable(world.app_of(move))
    _dest(world, move).follows = False
    _source(world, move).follows = True


def _unfollow(world: World, move: Move) -> None:
    _source(world, move).follows = False
    _dest(world, move).shut = True
    if move.is_reverse:
        assert not world.writable(world.app_of(move))
        _dest(world, move).follows = True


def _unblock_dest(world: World, move: Move) -> None:
    _dest(world, move).fenced = False
    move.stamp("writes_unblocked_at")


_DO = {
    Step.REQUESTED: _await_start,
    Step.RESERVING_DEST: _reserve,
    Step.BLOCKING_WRITES: _block,
    Step.RESTORING_DATA: _restore,
    PIVOT: _flip,
    Step.SETTING_UP_REVERSE_REPLICATION: _follow,
    Step.UNBLOCKING_WRITES: _unblock_dest,
}
_UNDO = {
    Step.SETTING_UP_REVERSE_REPLICATION: _unfollow,
    PIVOT: _open_source,
    Step.RESTORING_DATA: _empty,
    Step.BLOCKING_WRITES: _unblock_source,
    Step.RESERVING_DEST: _give_back,
}

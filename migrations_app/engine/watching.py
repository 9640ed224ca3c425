"""Watches the retained replicas: whether the way back is still one, how far it is behind, what it costs the primary.

Regions are asked in threads, one for each pair of regions, because one of them may hang; the threads know nothing of
Django. What they saw is put on the books, and alarms are raised, by who calls look(), in the caller's thread.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import QuerySet

from migrations_app.clock import database_now
from migrations_app.dataplane.database.connection import Cluster, is_away
from migrations_app.dataplane.database.stream import MISSING, Applying, Sending, look_at_primary, look_at_replica
from migrations_app.engine import alarms, reviews, undelivered
from migrations_app.engine.alarms import Trouble
from migrations_app.engine.reconciler import going_on
from migrations_app.engine.replica_troubles import judge, region_trouble
from migrations_app.errors import PermanentError, StepError
from migrations_app.models import Alarm, AppMigration, Region, SourceReplica
from migrations_app.models.alarm import AlarmCode
from migrations_app.move import cluster
from migrations_app.states import ReplicaState, Status

T = TypeVar("T")

SAMPLE_EVERY = timedelta(minutes=5)
MOST_SAMPLES = 288
"""Of a replica's history: a day's."""

HANGS_AFTER_SECONDS = 45
"""Longer than connecting may take (10 s, twice) and a few statements of 5 s."""


def watched() -> QuerySet[SourceReplica]:
    """Retained replicas; not those of apps under way: a move looks after its streams itself, and takes some down."""
    under_way = AppMigration.objects.filter(status__in=[Status.RUNNING, Status.HELD, Status.ABORTING])
    return SourceReplica.objects.filter(state=ReplicaState.RETAINED).exclude(app__in=under_way.values("app"))


@dataclass(frozen=True)
class Post:
    """A replica to look at. `mark`: the position it is to reach."""

    pk: int
    primary: Cluster
    replica: Cluster
    name: str
    mark: str


@dataclass(frozen=True)
class Sight:
    """What both ends of a replica's stream said, or why they said nothing."""

    pk: int
    sending: Sending | StepError
    applying: Applying | StepError


class Patrol(threading.Thread):
    """Looks at the replicas between two regions, one after the other. A region that is away is asked once."""

    def __init__(self, posts: list[Post], seen: SimpleQueue[Sight]) -> None:
        super().__init__(name="replica-watch", daemon=True)
        self.posts, self.seen = posts, seen
        self.asking = ""
        self.asked_at = time.monotonic()
        self._away: dict[str, StepError] = {}

    def run(self) -> None:
        for post in self.posts:
            sending = self._ask(post.primary, partial(look_at_primary, post.primary, post.name, mark=post.mark))
            applying = self._ask(post.replica, partial(look_at_replica, post.replica, post.name))
            self.seen.put(Sight(post.pk, sending, applying))

    def _ask(self, at: Cluster, look: Callable[[], T]) -> T | StepError:
        if at.region in self._away:
            return self._away[at.region]
        self.asking, self.asked_at = at.region, time.monotonic()
        try:
            return look()
        except StepError as error:
            if is_away(error):
                self._away[at.region] = error
            return error
        except Exception as error:  # noqa: BLE001  # said of this replica, whatever it is; the others are looked at
            return PermanentError(f"{at.region}: {type(error).__name__}: {error}", code="watch_failed")

    @property
    def hangs(self) -> bool:
        return self.is_alive() and time.monotonic() - self.asked_at > HANGS_AFTER_SECONDS


class Watch:
    """The watch of one reconciler. look() is called every round, and never waits for a region."""

    def __init__(self) -> None:
        self._patrols: dict[tuple[str, str], Patrol] = {}
        self._seen: SimpleQueue[Sight] = SimpleQueue()
        self._next_at = 0.0

    def look(self) -> None:
        """Put on the books what was seen since, and send out again when it is time (MOVES_WATCH_SECONDS)."""
        self._take_down()
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + settings.MOVES_WATCH_SECONDS
            self._send_out()

    def look_once(self) -> None:
        """Look at all replicas now, and wait until they have been seen; at most as long as a region may hang."""
        self._send_out()
        give_up_at = time.monotonic() + HANGS_AFTER_SECONDS
        for patrol in self._patrols.values():
            patrol.join(max(0.0, give_up_at - time.monotonic()))
        self._take_down()

    def _send_out(self) -> None:
        posts: dict[tuple[str, str], list[Post]] = defaultdict(list)
        for replica in watched().defer("history").select_related("app", "region", "migration__dest_region"):
            move, app = replica.migration, replica.app
            primary, at = cluster(move.dest_region, app.database), cluster(replica.region, app.database)
            post = Post(replica.pk, primary, at, move.name_in_regions, replica.mark_lsn)
            posts[primary.region, at.region].append(post)
        for pair, of_pair in posts.items():
            before = self._patrols.get(pair)
            if before is None or not before.is_alive():
                patrol = self._patrols[pair] = Patrol(of_pair, self._seen)
                patrol.start()
        _forget_what_is_over()
        reviews.look()
        undelivered.look()

    def _take_down(self) -> None:
        while not self._seen.empty():
            sight = self._seen.get()
            with going_on("watch", replica=sight.pk):
                _record(sight)
        for patrol in self._patrols.values():
            if patrol.hangs:
                said = f"It takes connections and has not answered for {HANGS_AFTER_SECONDS} s."
                alarms.raise_(region_trouble(Region.objects.get(slug=patrol.asking), said))


def _forget_what_is_over() -> None:
    """End alarms about replicas that are retained no more, and about regions that have no part in one that is."""
    retained = SourceReplica.objects.filter(state=ReplicaState.RETAINED)
    regions = retained.values_list("region", "migration__dest_region")
    of_replicas = Alarm.objects.filter(about__startswith="replica ")
    alarms.clear(of_replicas.exclude(about__in=[f"replica {pk}" for pk in retained.values_list("pk", flat=True)]))
    away = Alarm.objects.filter(code=AlarmCode.REGION_AWAY)
    alarms.clear(away.exclude(region__in={region for pair in regions for region in pair}))


def _record(sight: Sight) -> None:
    replica = watched().select_related("app", "region", "migration__dest_region").filter(pk=sight.pk).first()
    if replica is None:
        return
    errors_before = replica.apply_errors
    figures = _figures(replica, sight)
    for name, figure in figures.items():
        setattr(replica, name, figure)
    regions, found, judged = judge(replica, sight.sending, sight.applying, errors_before=errors_before)
    worst = next((trouble for trouble in [*regions.values(), *found] if trouble), None)
    if not watched().filter(pk=replica.pk).update(**_problem(worst), **figures):
        return  # a move or a teardown began meanwhile: what was seen may be its doing
    alarms.settle(found, among=Alarm.objects.filter(about=f"replica {replica.pk}", code__in=judged))
    for region, trouble in regions.items():
        alarms.settle([trouble] if trouble else [], among=Alarm.objects.filter(about=f"region {region.slug}"))


def _problem(worst: Trouble | None) -> dict[str, str]:
    """As fields of the replica. Why a region is away its own alarm says, once for all the replicas that it has."""
    if worst is None:
        return {"problem": "", "problem_code": ""}
    if worst.code == AlarmCode.REGION_AWAY and worst.region:
        return {"problem": f"How it is now is not known: {worst.region.slug} is away.", "problem_code": worst.code}
    return {"problem": worst.sentence, "problem_code": worst.code}


def _figures(replica: SourceReplica, sight: Sight) -> dict[str, Any]:
    """What was seen, as fields of the replica; those of a region that said nothing stay as they are."""
    figures: dict[str, Any] = {}
    if isinstance(sight.applying, Applying):
        figures["apply_errors"] = sight.applying.errors
    if not isinstance(sight.sending, Sending):
        return figures
    now, sending = database_now(), sight.sending
    figures |= {"watched_at": now, "wal_status": sending.wal_status}
    if sending.wal_status in (MISSING, "lost"):
        return figures | {
            "retained_bytes": None,
            "lag_bytes": None,
            "lag_seconds": None,
            **_sampled(replica.history, now, None, None),
        }
    behind_since = replica.mark_at or now
    if sending.reached or not replica.mark_lsn:
        figures |= {"mark_lsn": sending.position, "mark_at": now}
        behind_since = now
    # replay_lag stands still while nothing is confirmed, and is not there while nobody reads the slot: the mark ages.
    behind = max((now - behind_since).total_seconds(), sending.lag_seconds or 0)
    return figures | {
        "retained_bytes": sending.retained_bytes,
        "lag_bytes": sending.lag_bytes,
        "lag_seconds": behind,
        **_sampled(replica.history, now, sending.lag_bytes, behind),
    }


def _sampled(history: list[Any], now: datetime, lag_bytes: int | None, lag_seconds: float | None) -> dict[str, Any]:
    """The history with one more sample, as a field of the replica; nothing while the last one is young enough."""
    if history and now - datetime.fromisoformat(history[-1][0]) < SAMPLE_EVERY:
        return {}
    seconds = None if lag_seconds is None else round(lag_seconds, 3)
    return {"history": [*history, [now.isoformat(), lag_bytes, seconds]][-MOST_SAMPLES:]}

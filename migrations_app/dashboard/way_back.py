"""The way back that a move left: whether it is one, how far behind, and how old that knowledge is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.safestring import SafeString, mark_safe

from migrations_app.dashboard.display import ago, badge, link, markup, size, span
from migrations_app.models import AppMigration, Region, SourceReplica
from migrations_app.models.alarm import AlarmCode
from migrations_app.states import TERMINAL, ReplicaState

_LOOKS_MISSED = 4
"""After so many pauses between two looks of the watch what it saw last is old: it does not look any more."""

_TROUBLED = {
    AlarmCode.REGION_AWAY: "Whether the way back to {} is open is not known",
    AlarmCode.SLOT_LOST: "The way back to {} is in danger",
    AlarmCode.REPLICA_STOPPED: "The way back to {} is interrupted",
    AlarmCode.REPLICA_DRIFTED: "The way back to {} is shut",
    AlarmCode.WAL_PILES_UP: "The way back to {} is open, and fills a disk",
    AlarmCode.REPLICA_LAGS: "The way back to {} is open, and lags",
}
_OPEN_ALL_THE_SAME = frozenset({AlarmCode.WAL_PILES_UP, AlarmCode.REPLICA_LAGS})


def way_back(move: AppMigration, now: datetime) -> dict[str, Any] | None:
    """Of a move that left a replica: `sentence`; `replica` (while it is retained, else None), and then `behind`,
    `problem`, `is_open` and `is_overdue`. `tone` of all that: good, bad or quiet."""
    replica: SourceReplica | None = getattr(move, "source_replica", None)
    if replica is None:
        return None
    if replica.state != ReplicaState.RETAINED:
        return {"sentence": _over(move, replica), "tone": "quiet", "replica": None, "problem": "", "is_open": False}
    return {
        "sentence": _sentence(replica, move.source_region, now),
        "tone": "bad" if replica.problem or replica.is_lost else "quiet" if is_old(replica, now) else "good",
        "replica": replica,
        "behind": behind(replica, now),
        "problem": replica.problem,
        "is_open": _is_open(replica, now),
        "is_overdue": replica.review_at <= now,
    }


def _over(move: AppMigration, replica: SourceReplica) -> str:
    source = move.source_region
    return {
        ReplicaState.TEARING_DOWN: f"The replica in {source} is being torn down: there is no way back.",
        ReplicaState.TORN_DOWN: f"The replica in {source} was torn down: there is no way back.",
        ReplicaState.REVERSED: f"It was reversed: {move.app} was brought back to {source}.",
    }[ReplicaState(replica.state)]


def _sentence(replica: SourceReplica, source: Region, now: datetime) -> str:
    if replica.is_lost:
        return f"The way back to {source} is gone"
    if replica.problem:
        kind = _TROUBLED.get(AlarmCode(replica.problem_code)) if replica.problem_code else None
        return (kind or "The way back to {} is in trouble").format(source)
    if is_old(replica, now):
        return f"The way back to {source} was open when it was last looked at"
    return f"The way back to {source} is open"


def _is_open(replica: SourceReplica, now: datetime) -> bool:
    """As far as is known now."""
    if replica.is_lost or is_old(replica, now):
        return False
    return not replica.problem or replica.problem_code in _OPEN_ALL_THE_SAME


def is_old(replica: SourceReplica, now: datetime) -> bool:
    """Nobody has looked at it for longer than the watch takes. What a move works on the watch leaves alone."""
    limit = timedelta(seconds=_LOOKS_MISSED * settings.MOVES_WATCH_SECONDS)
    return replica.watched_at is not None and now - replica.watched_at > limit


def behind(replica: SourceReplica, now: datetime) -> SafeString:
    """How far it is behind, and how long ago that was read, amber where that is old. Empty where nothing comes any
    more."""
    if replica.is_lost:
        return mark_safe("")
    if replica.lag_bytes is None:
        return mark_safe("how far behind is not known yet")
    late = "" if replica.lag_seconds is None else f" ({span(replica.lag_seconds)})"
    said = f"{size(replica.lag_bytes)}{late} behind"
    if replica.watched_at is None:
        return markup("{}", said)
    read = markup("read {} ago", ago(replica.watched_at))
    return markup("{}, {}", said, badge_of_age(read) if is_old(replica, now) else read)


def badge_of_age(read: SafeString) -> SafeString:
    """In amber; what it says ticks, so badge() would keep each second of it."""
    return markup('<span class="state state-ask"><span aria-hidden="true">!</span> {}</span>', read)


def badge_of_replica(replica: SourceReplica) -> SafeString:
    return badge(look_of(replica), replica.state.replace("_", " "))


def look_of(replica: SourceReplica) -> str:
    """The state whose sign and tone it is shown with: what is wrong with it counts for more than that it is kept."""
    if replica.state != ReplicaState.RETAINED:
        return str(replica.state)
    return "fail" if replica.is_lost else "warn" if replica.problem else str(replica.state)


def lives_now(move: AppMigration) -> str:
    """Where the app is, of a move that is over, where that is not what the move's own page tells; else empty."""
    if move.status not in TERMINAL:
        return ""
    replica: SourceReplica | None = getattr(move, "source_replica", None)
    went_back = replica is not None and replica.state == ReplicaState.REVERSED
    told = move.dest_region_id if move.pivot_at and not went_back else move.source_region_id
    return "" if move.app.region_id == told else markup("{} lives in {} now.", link(move.app), move.app.region)

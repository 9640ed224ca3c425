"""What is to be known of the way back before it is taken. It changes by itself, so nobody is bound to it."""

from __future__ import annotations

from statistics import median

from migrations_app import queries
from migrations_app.consequences import met_by_a_reverse
from migrations_app.dashboard.display import ago, markup, size, span
from migrations_app.engine.undoing import is_way_back_open
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import ReplicaState, Status


def way_back_now(move: AppMigration) -> list[str]:
    """How far the replica is behind, what is wrong with it and what that means for a reverse, and for how long earlier
    reverses blocked writes. Empty where there is nothing to go back to, and for a held move that is only undone: there
    is no reverse."""
    replica: SourceReplica | None = getattr(move, "source_replica", None)
    if move.status == Status.HELD:
        return _blocked(move) if is_way_back_open(move) else []
    if replica is None or replica.state != ReplicaState.RETAINED:
        return []
    met = met_by_a_reverse(move)
    return [*_behind(replica, move.source_region.slug), *([met] if met else []), *_blocked(move)]


def _behind(replica: SourceReplica, place: str) -> list[str]:
    problem = [replica.problem] if replica.problem else []
    if replica.lag_bytes is None or replica.watched_at is None:
        return [f"How far {place} is behind is not known.", *problem]
    late = "" if replica.lag_seconds is None else f", {span(replica.lag_seconds)}"
    said = markup("{} is {}{} behind; read {} ago.", place, size(replica.lag_bytes), late, ago(replica.watched_at))
    return [said, *problem]


def _blocked(move: AppMigration) -> list[str]:
    earlier = queries.blocked_by_reverses(move.dest_region, move.source_region)
    if not earlier:
        return []
    moves = f"{len(earlier)} earlier reverse{'s' * (len(earlier) > 1)}"
    return [f"Writes are blocked for about {span(median(earlier))}, by {moves} between these regions."]

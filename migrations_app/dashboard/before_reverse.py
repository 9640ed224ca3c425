"""What is to be known of the way back before it is taken. It changes by itself, so nobody is bound to it."""

from __future__ import annotations

from django.utils.html import format_html

from migrations_app.actions.going_back import reverse_of
from migrations_app.dashboard.display import ago, size, span
from migrations_app.engine.undoing import is_way_back_open
from migrations_app.estimates import estimate
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import Status


def way_back_now(move: AppMigration) -> list[str]:
    """How far the replica is behind, what is wrong with it, and for how long earlier reverses blocked writes. Empty for
    a held move that is only undone: there is no reverse."""
    if move.status == Status.HELD and not is_way_back_open(move):
        return []
    replica: SourceReplica | None = getattr(move, "source_replica", None)
    return [*(_behind(replica) if replica else []), *_blocked(move)]


def _behind(replica: SourceReplica) -> list[str]:
    problem = [replica.problem] if replica.problem else []
    if replica.lag_bytes is None or replica.watched_at is None:
        return [f"How far {replica.region} is behind is not known.", *problem]
    late = "" if replica.lag_seconds is None else f", {span(replica.lag_seconds)}"
    said = format_html(
        "{} is {}{} behind; read {} ago.", replica.region, size(replica.lag_bytes), late, ago(replica.watched_at)
    )
    return [said, *problem]


def _blocked(move: AppMigration) -> list[str]:
    expected = estimate(reverse_of(move, None, ""), [])
    seconds = expected["blocked_seconds"]
    return [] if seconds is None else [f"Writes are blocked for about {span(seconds)}, by {expected['based_on']}."]

"""The plans: the order in which a strategy walks the eleven steps.

    snapshot          writes stay blocked while data is copied; works for any database
    live              the app goes on writing while data is copied; the block lasts for the last drain
    reverse           the destination is the old source, where a replica is already current
    rehearsal         the live plan up to where it would block writes; then all of it is undone

`PIVOT` is the point of no return. Up to it, steps have an undo; from it on there is only forward, but for this: a move
that is held before `WAY_BACK` is done can be gone back from, for the destination has not taken any write
(docs/decisions/0011).
"""

from __future__ import annotations

from collections.abc import Sequence

from migrations_app.states import Step, Strategy

PIVOT = Step.FLIPPING_ROUTING
WAY_BACK = Step.SETTING_UP_REVERSE_REPLICATION

SNAPSHOT: tuple[Step, ...] = (
    Step.REQUESTED,
    Step.RESERVING_DEST,
    Step.BLOCKING_WRITES,
    Step.DUMPING_DATA,
    Step.RESTORING_DATA,
    Step.COPYING_BLOBS,
    Step.COPYING_RUNTIME,
    Step.FLIPPING_ROUTING,  # ---- the pivot ----
    Step.SETTING_UP_REVERSE_REPLICATION,
    Step.UNBLOCKING_WRITES,
    Step.COMPLETED,
)

LIVE: tuple[Step, ...] = (
    Step.REQUESTED,
    Step.RESERVING_DEST,
    Step.DUMPING_DATA,
    Step.RESTORING_DATA,
    Step.COPYING_BLOBS,
    Step.COPYING_RUNTIME,
    Step.BLOCKING_WRITES,
    Step.FLIPPING_ROUTING,  # ---- the pivot ----
    Step.SETTING_UP_REVERSE_REPLICATION,
    Step.UNBLOCKING_WRITES,
    Step.COMPLETED,
)

PLANS: dict[Strategy, tuple[Step, ...]] = {
    Strategy.SNAPSHOT: SNAPSHOT,
    Strategy.LIVE: LIVE,
    Strategy.REVERSE: SNAPSHOT,  # same order; dumping_data and restoring_data say that there is nothing to do
    Strategy.REHEARSAL: LIVE[: LIVE.index(Step.BLOCKING_WRITES)],
}


def plan_of(strategy: str) -> tuple[Step, ...]:
    return PLANS[Strategy(strategy)]


def undo_order(begun: Sequence[Step], strategy: str) -> list[Step]:
    """The steps to undo, of those that were begun: traffic and writes come back first, then the rest, last to first.

    Before writes come back, the destination is asked whether it has any, and streams are made that no row may miss.
    """
    urgent = [step for step in (WAY_BACK, PIVOT, Step.BLOCKING_WRITES) if step in begun]
    return urgent + [step for step in reversed(plan_of(strategy)) if step in begun and step not in urgent]

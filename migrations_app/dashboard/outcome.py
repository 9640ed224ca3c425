"""The states that an act leads through, for the page before it."""

from __future__ import annotations

from collections.abc import Sequence

from migrations_app import approvals
from migrations_app.dashboard.display import badge
from migrations_app.engine.undoing import is_way_back_open
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb
from migrations_app.states import STARTS, TERMINAL, Act, Kind, ReplicaState, Status

Path = tuple[str, Sequence[str]]
"""What changes, and its states, the last of which it ends in."""

NOT_BEGUN = (Status.AWAITING_APPROVAL, Status.QUEUED)


def outcome(verb: Verb, act: Act | None, move: AppMigration) -> list[Path]:
    """What changes, each with the badges of its states from now to the last; `act` is what is decided on. Empty: all
    stays as it is."""
    return [(what, [badge(state) for state in states]) for what, states in _paths(verb, act, move)]


def _paths(verb: Verb, act: Act | None, move: AppMigration) -> list[Path]:
    if verb in (Verb.REJECT, Verb.WITHDRAW):
        return [(f"The {move.kind}", [move.status, Status.ABORTED])] if act in STARTS else []
    if verb is Verb.KEEP:
        return []
    wanted = act if verb is Verb.APPROVE and act else Act(verb.value)
    if wanted is Act.TEARDOWN:
        states = [ReplicaState.RETAINED, ReplicaState.TEARING_DOWN, ReplicaState.TORN_DOWN]
        return [(f"The replica in {move.source_region}", states)]
    if wanted is Act.ABORT:
        meanwhile = [] if move.status in NOT_BEGUN else [Status.ABORTING]
        return [(f"The {move.kind}", [move.status, *meanwhile, Status.ABORTED])]
    if wanted is Act.RETRY:
        onward = [Status.ABORTING, move.ends_as] if move.ends_as else [Status.RUNNING, Status.COMPLETED]
        return [(f"The {move.kind}", [move.status, *onward])]
    if wanted is Act.REVERSE and (move.status in TERMINAL or move.pivot_at):
        return _back(move)
    undone = [Status.ABORTING] if move.kind == Kind.REHEARSAL else []
    return [(f"The {move.kind}", [move.status, Status.QUEUED, Status.RUNNING, *undone, Status.COMPLETED])]


def _back(move: AppMigration) -> list[Path]:
    """Of the reverse of a move that is over, or held past its pivot."""
    if move.status == Status.HELD and not is_way_back_open(move):
        return [("The move", [move.status, Status.ABORTING, Status.ABORTED])]
    reverse, onward = "The reverse, a move of its own", [Status.RUNNING, Status.COMPLETED]
    if move.status == Status.HELD:
        return [("This move", [move.status, Status.FAILED]), (reverse, onward)]
    first = Status.AWAITING_APPROVAL if approvals.is_needed(Act.REVERSE) else Status.QUEUED
    replica = f"The replica in {move.source_region}", [ReplicaState.RETAINED, ReplicaState.REVERSED]
    return [(reverse, [first, *onward]), replica]

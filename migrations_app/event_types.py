"""What happens to a move or its replica, by the names that subscriptions choose from. Pure."""

from __future__ import annotations

from migrations_app.states import ReplicaState, Status

TRANSITIONS = (*(f"move.{status}" for status in Status), *(f"replica.{state}" for state in ReplicaState))
"""One for each status that a move can come to, and for each state of its replica."""

OTHERS = tuple(
    f"move.{verb}"
    for verb in (
        "request_abort",  # these wait for approval, and change nothing yet
        "request_retry",
        "request_teardown",
        "reject",  # of what changes nothing when it is declined
        "withdraw",
        "expire",
        "void_request",
        "pass_pivot",
        "keep",
        "comment",
    )
)
"""What changes no status, by its verb on the audit trail."""

EVENT_TYPES = (*TRANSITIONS, *OTHERS)


def type_of(verb: str, to_status: str) -> str:
    """The name of what an event of a move's audit trail says."""
    if to_status:
        return f"{'replica' if to_status in ReplicaState else 'move'}.{to_status}"
    return f"move.{verb}"

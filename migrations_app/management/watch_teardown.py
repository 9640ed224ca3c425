"""A teardown as people follow it: its acts as they happen, and what it waits for."""

from __future__ import annotations

import time
from uuid import UUID

from migrations_app import queries
from migrations_app.management.printing import printable
from migrations_app.management.watch import going_on_without_you, waits_for
from migrations_app.models import SourceReplica
from migrations_app.states import ReplicaState

_LOOK_SECONDS = 0.25


def watch_teardown(move_id: UUID, *, plain: bool = False, seconds: float | None = None) -> SourceReplica:
    """Follow the teardown of the replica that the move left until it is over, or nobody wants it any more; the row as
    it is then. Stopped on Ctrl-C, which stops nothing else.

    `plain` prints nothing. `seconds` is how long at most; None: for as long as it takes.
    """
    give_up_at = None if seconds is None else time.monotonic() + seconds
    said: list[str] = []
    with going_on_without_you(move_id, "The teardown"):
        while True:
            move = queries.move(move_id, viewer=None)
            replica: SourceReplica = move.source_replica
            waiting = waits_for(move) if replica.state == ReplicaState.RETAINED else ""
            lines = [waiting] if waiting else [act["text"] for act in replica.acts]
            if replica.last_error:
                lines.append(f"Not done yet: {replica.last_error}")
            for line in lines:
                if not plain and line not in said:
                    print(printable(line), flush=True)  # noqa: T201
                    said.append(line)
            over = replica.state != ReplicaState.TEARING_DOWN and not waiting
            if over or (give_up_at is not None and time.monotonic() >= give_up_at):
                return replica
            time.sleep(_LOOK_SECONDS)

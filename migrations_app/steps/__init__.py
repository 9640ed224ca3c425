"""The eleven steps, one module each, named after the step.

Each module says at its top what changes, how we know it is done, how it is undone and how long it may take, and has
three functions: `skip(move)` returns why there is nothing to do, or ""; `do(move)` and `undo(move)` look at the region
first and converge, so that running them twice is running them once.
"""

from __future__ import annotations

from typing import Protocol

from migrations_app.move import Move
from migrations_app.states import Step
from migrations_app.steps import (
    blocking_writes,
    completed,
    copying_blobs,
    copying_runtime,
    dumping_data,
    flipping_routing,
    requested,
    reserving_dest,
    restoring_data,
    setting_up_reverse_replication,
    unblocking_writes,
)


class StepModule(Protocol):
    def skip(self, move: Move) -> str: ...

    def do(self, move: Move) -> None: ...

    def undo(self, move: Move) -> None: ...


STEPS: dict[Step, StepModule] = {
    Step.REQUESTED: requested,
    Step.RESERVING_DEST: reserving_dest,
    Step.BLOCKING_WRITES: blocking_writes,
    Step.DUMPING_DATA: dumping_data,
    Step.RESTORING_DATA: restoring_data,
    Step.COPYING_BLOBS: copying_blobs,
    Step.COPYING_RUNTIME: copying_runtime,
    Step.FLIPPING_ROUTING: flipping_routing,
    Step.SETTING_UP_REVERSE_REPLICATION: setting_up_reverse_replication,
    Step.UNBLOCKING_WRITES: unblocking_writes,
    Step.COMPLETED: completed,
}

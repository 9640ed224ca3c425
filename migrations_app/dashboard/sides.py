"""Source and destination of a move that is not over: who serves, who takes writes, and what becomes of the other."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from migrations_app.dashboard.standing import writes_of
from migrations_app.engine.plan import PIVOT
from migrations_app.models import AppMigration, StepRun
from migrations_app.states import Direction, RunStatus, Status, Step


def sides(move: AppMigration, runs: list[StepRun]) -> list[dict[str, Any]]:
    """`role, region, serves, says`; beside who serves, `writes` (as writes_of() has them) and `aborts_at` (when it will
    have been blocked for too long).

    Who serves is where the app lives; but at the switch reads go over before that is committed, and are answered by the
    destination from when the source was shut until the switch is undone.
    """
    writes = writes_of(move)
    reads_are_over = _is_shut(move, runs)
    says = _says(move, runs, reads_are_over=reads_are_over)
    serving = move.dest_region_id if reads_are_over else move.app.region_id
    return [
        {
            "role": role,
            "region": region,
            "serves": region.pk == serving,
            "says": says[role],
            "writes": writes if region.pk == serving else None,
            "aborts_at": _aborts_at(move) if region.pk == serving and writes["blocked_since"] else None,
        }
        for role, region in (("Source", move.source_region), ("Destination", move.dest_region))
    ]


def _is_shut(move: AppMigration, runs: list[StepRun]) -> bool:
    """The source, ahead of a switch that is not committed, and not opened again since."""
    undone = any(run.step == PIVOT and run.direction == Direction.UNDO and run.status == RunStatus.DONE for run in runs)
    return bool(move.fact("shut")) and not move.pivot_at and not undone


def _says(move: AppMigration, runs: list[StepRun], *, reads_are_over: bool) -> dict[str, str]:
    app, source, dest = move.app, move.source_region, move.dest_region
    undoing = move.status == Status.ABORTING or (move.status == Status.HELD and move.ends_as)
    if move.pivot_at:
        shut = f"shut to {app}; its replica is on the books once the move is completed"
        return {"Source": shut, "Destination": f"serves {app}"}
    if undoing and reads_are_over:
        return {
            "Source": f"being opened to {app} again",
            "Destination": f"answers reads of {app} until {source} does again",
        }
    if undoing:
        goes = "stays a replica" if move.reverses_id else "what was made there is being removed"
        return {"Source": f"serves {app}", "Destination": f"shut to {app}; {goes}"}
    if reads_are_over:
        return {
            "Source": f"shut to {app}; the switch is not committed yet",
            "Destination": f"answers reads of {app}; the switch to it is not committed yet",
        }
    if move.current_step == Step.FLIPPING_ROUTING:
        return {
            "Source": f"serves {app} until its reads go over to {dest}",
            "Destination": f"filled; reads of {app} go over to it once both sides are found equal",
        }
    return {"Source": f"serves {app}", "Destination": _before_the_switch(move, runs)}


def _before_the_switch(move: AppMigration, runs: list[StepRun]) -> str:
    if move.reverses_id:
        return f"shut to {move.app}; a replica of {move.source_region}"
    begun = any(run.step == Step.RESERVING_DEST for run in runs)
    return f"shut to {move.app}; being filled" if begun else f"nothing of {move.app} is there yet"


def _aborts_at(move: AppMigration) -> datetime | None:
    """By its runner, or by the reconciler while it is held; not once it is being undone."""
    if move.writes_blocked_at is None or move.pivot_at or move.ends_as:
        return None
    return move.writes_blocked_at + timedelta(seconds=move.block_budget)

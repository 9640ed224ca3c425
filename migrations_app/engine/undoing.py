"""What an abort has to undo: the executor asks, and the page that says beforehand what an abort would do."""

from __future__ import annotations

from migrations_app.engine.plan import WAY_BACK, undo_order
from migrations_app.models import AppMigration
from migrations_app.states import Direction, RunStatus, Step


def left_to_undo(move: AppMigration) -> list[Step]:
    """The steps that were begun and are not undone yet, in the order in which they are undone."""
    runs = list(move.step_runs.all())
    idle = (RunStatus.SKIPPED, RunStatus.WAITING)
    begun = [Step(run.step) for run in runs if run.direction == Direction.DO and run.status not in idle]
    undone = {run.step for run in runs if run.direction == Direction.UNDO and run.status == RunStatus.DONE}
    return [step for step in undo_order(begun, move.strategy) if step not in undone]


def is_way_back_open(move: AppMigration) -> bool:
    """The source is a live replica of what the destination has taken. While it is not, that has taken no write yet."""
    return move.step_runs.filter(step=WAY_BACK, direction=Direction.DO, status=RunStatus.DONE).exists()

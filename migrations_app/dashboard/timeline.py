"""The steps of a move in the order of its plan, each with its attempts and their logs."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from migrations_app.dashboard.display import badge, log_of, span, time_of_day, tone_of
from migrations_app.dashboard.running import bar
from migrations_app.engine.plan import PIVOT, plan_of
from migrations_app.models import AppMigration, StepRun
from migrations_app.progress import BUSY, amount
from migrations_app.states import TERMINAL, Direction, RunStatus, Status

_NOT_UNDER_WAY = TERMINAL | {Status.AWAITING_APPROVAL}
"""None of the steps is the current one."""
_TABLES = 8
"""So many tables of a copy are shown: those being copied, then the largest."""


def timeline(move: AppMigration, runs: list[StepRun]) -> list[dict[str, Any]]:
    """A row for each step: its number and state, when its last run began and how long that took, how far it is, and
    `runs`: every attempt and undoing, `{label, badge, reason, lines}`, each line as display.log_of() writes it."""
    by_step: dict[str, list[StepRun]] = defaultdict(list)
    for run in runs:
        by_step[run.step].append(run)
    return [
        _described(
            number, step, by_step[step], step == PIVOT, step == move.current_step and move.status not in _NOT_UNDER_WAY
        )
        for number, step in enumerate(plan_of(move.strategy), start=1)
    ]


def _described(number: int, step: str, runs: list[StepRun], is_pivot: bool, is_current: bool) -> dict[str, Any]:
    done = [run for run in runs if run.direction == Direction.DO]
    last = runs[-1] if runs else None
    state = _state(last)
    return {
        "number": number,
        "step": str(step),
        "is_pivot": is_pivot,
        "is_current": is_current,
        "tone": tone_of(state),
        "badge": badge(state, "not begun") if last is None else badge(state),
        "started": last.started_at if last else None,
        "began": time_of_day(last.started_at) if last else "",
        "is_going_on": bool(last and last.ended_at is None),
        "took": span((last.ended_at - last.started_at).total_seconds()) if last and last.ended_at else "",
        "tries": len(done) if len(done) > 1 else 0,
        "bar": bar(last) if last and last.status == RunStatus.RUNNING else None,
        "tables": _tables(last) if last and last.status == RunStatus.RUNNING else [],
        "reason": last.reason if last else "",
        "runs": [_attempt(run, len(runs)) for run in runs],
        "lines": sum(len(run.acts) for run in runs),
    }


def _state(run: StepRun | None) -> str:
    if run is None:
        return "pending"
    return "undone" if run.direction == Direction.UNDO and run.status == RunStatus.DONE else run.status


def _attempt(run: StepRun, of: int) -> dict[str, Any]:
    undo = run.direction == Direction.UNDO
    return {
        "label": f"{'Undoing' if undo else 'Try'} {run.attempt}" if of > 1 else "",
        "badge": badge(_state(run)),
        "started": run.started_at,
        "reason": run.reason,
        "lines": log_of(run.acts, f"line-{run.pk}"),
    }


def _tables(run: StepRun) -> list[dict[str, Any]]:
    unit = run.progress.get("unit", "")
    tables = list(run.progress.get("tables", {}).items())[:_TABLES]
    return [
        {
            "name": name,
            "done": table["done"],
            "total": max(table["total"], 1),
            "text": f"{amount(table['done'], unit)} of {amount(table['total'], unit)}",
            "state": table["state"],
            "is_busy": table["state"] in BUSY,
        }
        for name, table in tables
    ]

"""How long a move that has not begun may take, by what was measured in those before it. Nothing is guessed.

What goes by size is scaled from what was measured to what there is now, up to ten times as much and no further.
Everything else takes as long as it took.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from django.db.models import QuerySet

from migrations_app.engine.plan import plan_of
from migrations_app.models import AppMigration, StepRun
from migrations_app.states import Direction, Kind, RunStatus, Status, Step, Strategy
from migrations_app.units import span

_LATEST = 10
"""So many earlier moves are looked at."""
_FARTHEST = 10
"""So many times the largest that was measured: beyond that a figure says nothing."""

_COPIES_DATA = frozenset({Step.DUMPING_DATA, Step.RESTORING_DATA})
_COPIES = _COPIES_DATA | {Step.COPYING_BLOBS}
_ALIKE = _COPIES | {Step.REQUESTED, Step.RESERVING_DEST, Step.COPYING_RUNTIME}
"""Steps that do the same whether writes are blocked or not."""


@dataclass(frozen=True)
class _Measured:
    """One earlier move. `data` and `blobs` in bytes, None where it is not known how many; the rest in seconds."""

    strategy: str
    data: int | None
    blobs: int | None
    steps: dict[str, float]
    blocked: float | None


def estimate(row: AppMigration, findings: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What a move may take that has not begun, on the books or not: `{"bytes", "blob_bytes", "blobs", "seconds",
    "blocked_seconds", "based_on", "steps": {step: {"seconds", "bytes"}}}`; None is what nobody has measured.

    `bytes`: of tables and large objects, as preflight's `findings` tell, else as the app's last rehearsal found them.
    `seconds`: the sum over the steps that were measured, None if one that copies was not.
    """
    return by_strategy(row, findings, [Strategy(row.strategy)])[row.strategy]


def by_strategy(
    row: AppMigration, findings: Iterable[dict[str, Any]], strategies: Iterable[Strategy]
) -> dict[str, dict[str, Any]]:
    """estimate(), were the move by each of the strategies. The earlier moves are looked up once."""
    found, rehearsal, earlier = list(findings), _rehearsal(row), _earlier(row)
    expected = {}
    for strategy in strategies:
        planned = copy(row)
        planned.strategy = strategy
        expected[str(strategy)] = _estimate(planned, found, rehearsal, earlier)
    return expected


def _estimate(
    row: AppMigration,
    findings: list[dict[str, Any]],
    rehearsal: AppMigration | None,
    earlier: list[AppMigration],
) -> dict[str, Any]:
    figures = {name: count for finding in findings for name, count in finding.get("figures", {}).items()}
    if rehearsal:
        then = {"bytes": _data_of(rehearsal), **{name: rehearsal.fact(name) for name in ("blobs", "blob_bytes")}}
        figures = then | figures
    if not row.app.blobs:
        figures |= {"blobs": 0, "blob_bytes": 0}
    data, blobs = figures.get("bytes"), figures.get("blob_bytes")
    own, others = [_measured(rehearsal)] if rehearsal else [], [_measured(move) for move in earlier]
    steps = {
        str(step): {
            "seconds": _rounded(_first(_seconds(step, row, measured, data, blobs) for measured in (own, others))),
            "bytes": data if step in _COPIES_DATA else blobs if step == Step.COPYING_BLOBS else None,
        }
        for step in plan_of(row.strategy)
    }
    known = [figure for step in steps.values() if (figure := step["seconds"]) is not None]
    is_whole = all(steps[step]["seconds"] is not None for step in _COPIES if step in steps)
    return {
        "bytes": data,
        "blob_bytes": blobs,
        "blobs": figures.get("blobs"),
        "seconds": _rounded(sum(known)) if known and is_whole else None,
        "blocked_seconds": _rounded(_blocked(row, others, data)),
        "based_on": _source(row, rehearsal, len(others)),
        "steps": steps,
    }


def in_words(expected: dict[str, Any]) -> str:
    """An estimate in a sentence or two."""
    if expected["seconds"] is None and expected["blocked_seconds"] is None:
        return f"How long it takes nobody knows: {expected['based_on']}."
    in_all, blocked = (
        "not known" if seconds is None else f"about {span(seconds)}"
        for seconds in (expected["seconds"], expected["blocked_seconds"])
    )
    return f"In all: {in_all}; writes blocked: {blocked}. Judged by {expected['based_on']}."


def time_left(row: AppMigration, run: StepRun | None, now: datetime) -> float | None:
    """Seconds until a move that runs is completed, by what was expected of its steps and what the current one tells of
    itself; None where one of those that are to come has not been measured."""
    plan = plan_of(row.strategy)
    here = plan.index(Step(row.current_step)) if row.current_step in plan else 0
    expected = (row.estimate or {}).get("steps", {})
    ahead = [expected.get(step, {}).get("seconds") for step in plan[here + 1 :] if step != Step.COMPLETED]
    of_this = (run.progress or {}).get("seconds_left") if run else None
    if of_this is None:
        whole = expected.get(row.current_step, {}).get("seconds")
        spent = (now - run.started_at).total_seconds() if run else 0.0
        of_this = None if whole is None else max(0.0, whole - spent)
    parts = [of_this, *ahead]
    return None if None in parts else sum(part for part in parts if part is not None)


def _rehearsal(row: AppMigration) -> AppMigration | None:
    """The app's own last one, to the same region."""
    if row.kind == Kind.REVERSE:
        return None
    return _completed(row).filter(kind=Kind.REHEARSAL, app_id=row.app_id).first()


def _earlier(row: AppMigration) -> list[AppMigration]:
    return list(_completed(row).filter(kind=Kind.REVERSE if row.kind == Kind.REVERSE else Kind.MOVE)[:_LATEST])


def _completed(row: AppMigration) -> QuerySet[AppMigration]:
    """Between the same regions, the latest first."""
    return (
        AppMigration.objects.filter(
            source_region=row.source_region, dest_region=row.dest_region, status=Status.COMPLETED
        )
        .exclude(pk=row.pk)
        .order_by("-completed_at")
        .prefetch_related("step_runs")
    )


def _measured(move: AppMigration) -> _Measured:
    done = [run for run in move.step_runs.all() if run.direction == Direction.DO and run.status == RunStatus.DONE]
    return _Measured(
        strategy=move.strategy,
        data=_data_of(move),
        blobs=move.fact("blob_bytes"),
        steps={run.step: (run.ended_at - run.started_at).total_seconds() for run in done if run.ended_at},
        blocked=move.blocked_seconds,
    )


def _data_of(move: AppMigration) -> int | None:
    """As preflight measured it; of a move from before it did, the size of its dump."""
    return move.fact("data_bytes") or move.fact("dump_bytes")


def _seconds(
    step: Step, row: AppMigration, measured: list[_Measured], data: int | None, blobs: int | None
) -> float | None:
    if _is_skipped(step, row):
        return 0.0
    like = [m for m in measured if step in m.steps and (m.strategy == row.strategy or step in _ALIKE)]
    if step == Step.COPYING_BLOBS:
        return _scaled([(m.steps[step], m.blobs) for m in like], blobs)
    if step in _COPIES_DATA or (step == Step.FLIPPING_ROUTING and row.strategy == Strategy.SNAPSHOT):
        return _scaled([(m.steps[step], m.data) for m in like], data)  # the flip compares every row
    return median(m.steps[step] for m in like) if like else None


def _is_skipped(step: Step, row: AppMigration) -> bool:
    return (
        (step in _COPIES_DATA and row.strategy == Strategy.REVERSE)
        or (step == Step.COPYING_BLOBS and not row.app.blobs)
        or (step == Step.COPYING_RUNTIME and not row.app.program)
    )


def _blocked(row: AppMigration, measured: list[_Measured], data: int | None) -> float | None:
    if row.strategy == Strategy.REHEARSAL:
        return 0.0
    like = [(m.blocked, m.data) for m in measured if m.blocked is not None and m.strategy == row.strategy]
    if row.strategy == Strategy.SNAPSHOT:
        return _scaled(like, data)
    return median(seconds for seconds, _ in like) if like else None


def _scaled(measured: list[tuple[float, int | None]], size: int | None) -> float | None:
    """Seconds for `size`, by `(seconds, size)` of others; None too far from all that was measured."""
    usable = [(seconds, length) for seconds, length in measured if length]
    if size == 0:
        return 0.0
    if size is None or not usable or size > _FARTHEST * max(length for _, length in usable):
        return None
    return sum(seconds for seconds, _ in usable) / sum(length for _, length in usable) * size


def _first(figures: Iterable[float | None]) -> float | None:
    return next((figure for figure in figures if figure is not None), None)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def _source(row: AppMigration, rehearsal: AppMigration | None, others: int) -> str:
    found = [f"the rehearsal of {rehearsal.completed_at:%Y-%m-%d}"] if rehearsal else []
    if others:
        moves = "reverse" if row.kind == Kind.REVERSE else "move"
        found.append(f"{others} earlier {moves}{'s' * (others > 1)} from {row.source_region} to {row.dest_region}")
    return " and ".join(found) or "nothing has been measured between these regions yet"

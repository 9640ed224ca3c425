"""A move that is only looked at: the plan as it would run, and the preflight. Changes nothing."""

from __future__ import annotations

from typing import Any

from migrations_app import queries, rules
from migrations_app.engine.plan import PIVOT, plan_of
from migrations_app.errors import InvalidInput, Refused
from migrations_app.models import AppMigration
from migrations_app.move import Move
from migrations_app.preflight import preflight
from migrations_app.states import Strategy
from migrations_app.steps import STEPS


class _Unwritten(Move):
    """A move without a row: what it is told is forgotten."""

    def __init__(self, row: AppMigration) -> None:
        self.row = row

    def act(self, text: str) -> None: ...

    def check(self) -> None: ...

    def remember(self, **facts: Any) -> None: ...

    def progress(self, done: int, total: int, unit: str) -> None: ...

    def stamp(self, field: str) -> None: ...

    def keep_report(self, report: dict[str, Any]) -> None: ...

    def pass_pivot(self) -> None: ...


def preview(*, app_slug: str, dest_slug: str, strategy: str) -> dict[str, Any]:
    """`{"app_id", "source_region", "dest_region", "strategy", "ok", "steps": [{step, pivot, skip, what}],
    "preflight": [{check, outcome, found, why, remedy}]}`.

    Raises as request_move() would.
    """
    if strategy != Strategy.SNAPSHOT:
        raise InvalidInput(f"There is no strategy {strategy}.", hint="Use snapshot.", code="invalid_strategy")
    app, dest = queries.app(app_slug), queries.region(dest_slug)
    blockers = rules.forbids_move(app.move_facts(dest))
    if blockers:
        raise Refused(blockers)
    move = _Unwritten(AppMigration(app=app, source_region=app.region, dest_region=dest, strategy=strategy))
    findings = preflight(move)
    return {
        "app_id": app.slug,
        "source_region": app.region.slug,
        "dest_region": dest.slug,
        "strategy": strategy,
        "ok": all(finding.outcome != "fail" for finding in findings),
        "steps": [
            {
                "step": str(step),
                "pivot": step == PIVOT,
                "skip": STEPS[step].skip(move),
                "what": _purpose(step),
            }
            for step in plan_of(strategy)
        ],
        "preflight": [vars(finding) for finding in findings],
    }


def _purpose(step: str) -> str:
    """The first line of the step's own description."""
    return (STEPS[step].__doc__ or "").partition("\n")[0].partition(": ")[2]  # type: ignore[index]

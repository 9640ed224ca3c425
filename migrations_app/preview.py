"""A move that is only looked at: the plan as it would run, how long it may take, and the preflight. Changes nothing."""

from __future__ import annotations

import re
from inspect import getdoc
from typing import Any

from django.contrib.auth.models import User

from migrations_app import estimates, permissions, queries, rules
from migrations_app.engine.plan import PIVOT, plan_of
from migrations_app.errors import Refused
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb
from migrations_app.preflight import Unwritten, choose_strategy, look
from migrations_app.states import Kind, Strategy
from migrations_app.steps import STEPS

_PURPOSE = re.compile(r"\w+: (.*?)\n\n", re.DOTALL)
_CHANGES = re.compile(r"^What changes: (.*?)\n(?=\S)", re.DOTALL | re.MULTILINE)


def preview(
    *, app_slug: str, dest_slug: str, strategy: str, acting_user: User | None, rehearse: bool = False
) -> dict[str, Any]:
    """`{"app_id", "source_region", "dest_region", "strategy", "strategy_reason", "ok", "estimate", "steps": [{step,
    pivot, skip, what, changes, seconds, bytes}], "preflight"}`: the estimate as estimates.estimate() words it, what
    preflight finds as look() does. `strategy_reason`: why `auto` chose the strategy, else empty.

    Raises as request_move() would.
    """
    app = queries.app(app_slug, viewer=acting_user)
    permissions.require(acting_user, Verb.REQUEST, app)
    dest = queries.region(dest_slug)
    strategy = queries.strategy(strategy)
    blockers = rules.forbids_move(app.move_facts(dest))
    if blockers:
        raise Refused(blockers)
    row = AppMigration(
        app=app,
        kind=Kind.REHEARSAL if rehearse else Kind.MOVE,
        strategy=Strategy.REHEARSAL if rehearse else strategy,
        source_region=app.region,
        dest_region=dest,
    )
    if row.strategy == queries.AUTO:
        row.strategy, row.strategy_reason = choose_strategy(row)
    findings = look(row)
    estimate = estimates.estimate(row, findings)
    return {
        "app_id": app.slug,
        "source_region": app.region.slug,
        "dest_region": dest.slug,
        "strategy": str(row.strategy),
        "strategy_reason": row.strategy_reason,
        "ok": all(finding["outcome"] != "fail" for finding in findings),
        "estimate": estimate,
        "steps": _steps(row, estimate["steps"]),
        "preflight": findings,
    }


def _steps(row: AppMigration, expected: dict[str, Any]) -> list[dict[str, Any]]:
    listed = []
    for step in plan_of(row.strategy):
        said = f"{getdoc(STEPS[step])}\n"
        what, changes = _PURPOSE.match(said), _CHANGES.search(said)
        listed.append(
            {
                "step": str(step),
                "pivot": step == PIVOT,
                "skip": STEPS[step].skip(Unwritten(row)),
                "what": _in_one_line(what[1]) if what else "",
                "changes": _in_one_line(changes[1]) if changes else "",
                **expected[step],
            }
        )
    return listed


def _in_one_line(text: str) -> str:
    return " ".join(text.split())

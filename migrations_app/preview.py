"""A move that is only looked at: the plan as it would run, how long it may take, and the preflight. Changes nothing."""

from __future__ import annotations

import re
from inspect import getdoc
from typing import Any

from django.contrib.auth.models import User

from migrations_app import estimates, permissions, queries
from migrations_app.drafting import draft
from migrations_app.engine.plan import PIVOT, plan_of
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb
from migrations_app.preflight import Unwritten, look
from migrations_app.states import Strategy
from migrations_app.steps import STEPS

_PURPOSE = re.compile(r"\w+: (.*?)\n\n", re.DOTALL)
_CHANGES = re.compile(r"^What changes: (.*?)\n(?=\S)", re.DOTALL | re.MULTILINE)


def preview(
    *, app_slug: str, dest_slug: str, strategy: str, acting_user: User | None, rehearse: bool = False
) -> dict[str, Any]:
    """What of_draft() says of that move. Raises as request_move() would."""
    app = queries.app(app_slug, viewer=acting_user)
    permissions.require(acting_user, Verb.REQUEST, app)
    return of_draft(draft(app, queries.region(dest_slug), strategy, rehearse=rehearse))


def of_draft(row: AppMigration) -> dict[str, Any]:
    """`{"app_id", "source_region", "dest_region", "strategy", "strategy_reason", "ok", "estimate", "estimates",
    "steps": [{step, pivot, skip, what, changes, seconds, bytes}], "preflight"}`.

    `strategy_reason`: why `auto` chose the strategy, else empty. `estimate` is as estimates.estimate() words it, and
    `estimates` the same by each strategy that can be asked for. `preflight`: what look() finds.
    """
    findings = look(row)
    expected = estimates.by_strategy(row, findings, {Strategy(row.strategy), Strategy.LIVE, Strategy.SNAPSHOT})
    estimate = expected[row.strategy]
    return {
        "app_id": row.app.slug,
        "source_region": row.source_region.slug,
        "dest_region": row.dest_region.slug,
        "strategy": str(row.strategy),
        "strategy_reason": row.strategy_reason,
        "ok": all(finding["outcome"] != "fail" for finding in findings),
        "estimate": estimate,
        "estimates": {str(strategy): expected[strategy] for strategy in (Strategy.LIVE, Strategy.SNAPSHOT)},
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

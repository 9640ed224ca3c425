"""A move that is only looked at: the plan as it would run, and the preflight. Changes nothing."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from migrations_app import permissions, queries, rules
from migrations_app.engine.plan import PIVOT, plan_of
from migrations_app.errors import Refused
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb
from migrations_app.preflight import Unwritten, look
from migrations_app.steps import STEPS


def preview(*, app_slug: str, dest_slug: str, strategy: str, acting_user: User | None) -> dict[str, Any]:
    """`{"app_id", "source_region", "dest_region", "strategy", "ok", "steps": [{step, pivot, skip, what}],
    "preflight": [{check, outcome, found, why, remedy}]}`.

    Raises as request_move() would.
    """
    app = queries.app(app_slug, viewer=acting_user)
    permissions.require(acting_user, Verb.REQUEST, app)
    dest, strategy = queries.region(dest_slug), queries.strategy(strategy)
    blockers = rules.forbids_move(app.move_facts(dest))
    if blockers:
        raise Refused(blockers)
    row = AppMigration(app=app, source_region=app.region, dest_region=dest, strategy=strategy)
    move, findings = Unwritten(row), look(row)
    return {
        "app_id": app.slug,
        "source_region": app.region.slug,
        "dest_region": dest.slug,
        "strategy": strategy,
        "ok": all(finding["outcome"] != "fail" for finding in findings),
        "steps": [
            {
                "step": str(step),
                "pivot": step == PIVOT,
                "skip": STEPS[step].skip(move),
                "what": _purpose(step),
            }
            for step in plan_of(strategy)
        ],
        "preflight": findings,
    }


def _purpose(step: str) -> str:
    """The first line of the step's own description."""
    return (STEPS[step].__doc__ or "").partition("\n")[0].partition(": ")[2]  # type: ignore[index]

"""What a move that is being worked on is at, in figures."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils.safestring import SafeString
from django.utils.text import capfirst

from migrations_app import estimates, queries
from migrations_app.dashboard.display import ago, badge, escaped, joined, left, markup, page_of
from migrations_app.engine.plan import plan_of
from migrations_app.models import AppMigration, StepRun
from migrations_app.progress import sentence
from migrations_app.states import Kind, Status, Step


def running(move: AppMigration, now: datetime) -> dict[str, Any]:
    """Of a move from queries.active_moves(): `move, page, badge, place (step n of m), since, steps (how many), done (of
    them; the current one counts as far as it is), bar (of the current step), ends (when it should be completed, or
    None), next_try, blocked_since`."""
    plan, run = plan_of(move.strategy), queries.open_run(move)
    undoing = move.status == Status.ABORTING
    left = None if undoing else estimates.time_left(move, run, now)
    at = run.step if run else move.current_step
    of_step = bar(run)
    before = 0 if undoing else plan.index(Step(at))
    return {
        "move": move,
        "page": page_of(move),
        "badge": badge(move.status),
        "place": f"undoing {at}" if undoing else f"step {before + 1} of {len(plan)}, {at}",
        "steps": 0 if undoing else len(plan),
        "done": round(before + (of_step["done"] / of_step["total"] if of_step else 0), 2),
        "since": move.step_started_at,
        "bar": of_step,
        "ends": None if left is None else now + timedelta(seconds=left),
        "next_try": queries.next_try(move),
        "blocked_since": None if move.writes_unblocked_at else move.writes_blocked_at,
    }


def line(row: dict[str, Any]) -> SafeString:
    """What running() tells, as the overview lists it; without a template, as there are many and all who look ask."""
    move, place, at, since = row["move"], row["place"], row["bar"], row["since"]
    blocked, ends = row["blocked_since"], row["ends"]
    return joined(
        [
            f'<li id="running-{move.pk}" data-row><p class="line-head">{row["badge"]} ',
            f'<a href="{row["page"]}">{escaped(move)}</a> ',
            f'<span class="quiet">{move.kind}{f", {move.strategy}" if move.kind == Kind.MOVE else ""}</span> ',
            f'<span class="blocked">Writes blocked for {ago(blocked)}</span>' if blocked else "",
            f'<span class="quiet to-the-end">about {left(ends)} left</span>' if ends else "",
            "</p>",
            markup(_PROGRESS, row["done"], row["steps"], move, place) if row["steps"] else "",
            f'<p class="line-text">{escaped(capfirst(place))}{f", for {ago(since)}" if since else ""}.',
            markup(" <small>{}: {}</small>", at["percent"], at["text"]) if at else "",
            f" {escaped(row['next_try'])}</p></li>",
        ]
    )


_PROGRESS = '<progress value="{0}" max="{1}" aria-label="{2}: {3}">{3}</progress>'


def bar(run: StepRun | None) -> dict[str, Any] | None:
    """`done, total, percent, text` of what a step tells about itself; None where it tells nothing, or has nothing
    to do."""
    if run is None or not run.progress or not run.progress["total"]:
        return None
    done, total = run.progress["done"], run.progress["total"]
    return {
        "done": done,
        "total": total,
        "percent": f"{100 * done // total} %",
        "text": sentence(run.progress),
    }

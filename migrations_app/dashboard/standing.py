"""Where a move stands, for somebody who has five seconds: one sentence, what serves, whether writes are open."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from migrations_app import approvals, queries
from migrations_app.clock import database_now
from migrations_app.dashboard.consent import void_sentences, waits_sentence
from migrations_app.dashboard.display import badge, log_of, moment, span, tone_of
from migrations_app.engine.plan import PIVOT, plan_of
from migrations_app.models import AppMigration, Approval, SourceReplica, StepRun
from migrations_app.progress import sentence
from migrations_app.states import STARTS, TERMINAL, Direction, ReplicaState, RunStatus, Status

_BEGINS = "It begins as soon as a worker takes it."


def standing(move: AppMigration) -> dict[str, Any]:
    """`badge, tone, sentence, notes, served, writes, writes_blocked, error`, for the head of the move's page. The notes
    are about approvals: what waits for one, and which became void."""
    now = database_now()
    waiting = approvals.open_of(move)
    blocked = bool(move.writes_blocked_at and not move.writes_unblocked_at)
    over = move.status in TERMINAL
    return {
        "badge": badge(move.status),
        "tone": tone_of(move.status),
        "sentence": _sentence(move, waiting, now),
        "notes": notes_on(move, waiting),
        "served": "" if over else f"{move.app} is served from {move.app.region}.",
        "writes": "" if over else _writes(move, now),
        "writes_blocked": blocked,
        "error": "" if move.status == Status.COMPLETED else move.last_error,
    }


def notes_on(move: AppMigration, waiting: Approval | None) -> list[str]:
    if waiting is None:
        return []
    return void_sentences(move) if waiting.act in STARTS else [waits_sentence(waiting, move)]


def _sentence(move: AppMigration, waiting: Approval | None, now: datetime) -> str:
    app, source, dest = move.app, move.source_region, move.dest_region
    if move.status == Status.AWAITING_APPROVAL:
        limit = f" It is to be decided by {moment(waiting.expires_at)}." if waiting else ""
        return f"It waits for somebody else to approve it. Nothing has begun.{limit}"
    if move.status == Status.QUEUED:
        waits = move.step_runs.filter(status=RunStatus.WAITING).first()
        starts = approvals.earliest_start(move, now)
        when = f"It begins at {moment(starts)} at the earliest." if starts and starts > now else _BEGINS
        return f"Nothing has begun. {waits.reason if waits else when}"
    if move.status == Status.RUNNING:
        plan = plan_of(move.strategy)
        since = f", since {span((now - move.step_started_at).total_seconds())}" if move.step_started_at else ""
        place = f"It is at step {plan.index(move.current_step) + 1} of {len(plan)}, {move.current_step}{since}."
        return f"{place} {queries.next_try(move)}".rstrip()
    if move.status == Status.HELD:
        undoing = "The undoing" if move.ends_as else "The move"
        return f"{undoing} stopped at {move.current_step}. Somebody has to decide how it goes on."
    if move.status == Status.ABORTING:
        return f"Everything it did is being undone; it will end as {move.ends_as}. {queries.next_try(move)}".rstrip()
    when = moment(move.completed_at)
    if move.status == Status.COMPLETED:
        return f"{app} was brought to {dest} at {when}. {_way_back(move)}"
    if move.pivot_at:
        return f"It ended at {when}, after the switch: {app} was served from {dest}."
    return f"It ended at {when}, and {app} stayed in {source}. Nothing of it is left in {dest}."


def _way_back(move: AppMigration) -> str:
    replica: SourceReplica | None = getattr(move, "source_replica", None)
    if replica is None:
        return ""
    return {
        ReplicaState.RETAINED: f"The way back to {move.source_region} is open.",
        ReplicaState.TEARING_DOWN: f"The replica in {move.source_region} is being torn down: there is no way back.",
        ReplicaState.TORN_DOWN: f"The replica in {move.source_region} was torn down: there is no way back.",
        ReplicaState.REVERSED: "It has been reversed since.",
    }[ReplicaState(replica.state)]


def _writes(move: AppMigration, now: datetime) -> str:
    if move.writes_blocked_at is None:
        return "Writes are open."
    if move.writes_unblocked_at is None:
        return f"Writes are blocked, for {span((now - move.writes_blocked_at).total_seconds())} now."
    return f"Writes are open; they were blocked for {blocked_for(move)}."


def blocked_for(move: AppMigration) -> str:
    if move.writes_blocked_at is None or move.writes_unblocked_at is None:
        return ""
    return span((move.writes_unblocked_at - move.writes_blocked_at).total_seconds())


def step_rows(move: AppMigration) -> list[dict[str, Any]]:
    """The plan, each step with all its runs, the undoing included; one that has not begun with none."""
    runs: dict[str, list[StepRun]] = {}
    for run in move.step_runs.order_by("id"):
        runs.setdefault(run.step, []).append(run)
    return [
        {
            "number": number,
            "step": str(step),
            "pivot": step == PIVOT,
            "current": step == move.current_step and move.status not in TERMINAL,
            "pending": badge("pending", "not begun"),
            "runs": [_described(run) for run in runs.get(step, [])],
        }
        for number, step in enumerate(plan_of(move.strategy), start=1)
    ]


def _described(run: StepRun) -> dict[str, Any]:
    undo = run.direction == Direction.UNDO
    return {
        "badge": badge("undone", "undone") if undo and run.status == RunStatus.DONE else badge(run.status),
        "what": ("undo " if undo else "") + (f"try {run.attempt}" if run.attempt > 1 else ""),
        "started": moment(run.started_at),
        "took": span((run.ended_at - run.started_at).total_seconds()) if run.ended_at else "",
        "progress": sentence(run.progress),
        "reason": run.reason,
        "log": log_of(run.acts),
    }

"""Where a move stands, for somebody who has five seconds: what happens, since when, how long still, who wanted it, and
what is safe to press."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from migrations_app import approvals, estimates, queries
from migrations_app.dashboard.consent import void_sentences, waits_sentence
from migrations_app.dashboard.display import badge, clock, markup, span, tone_of, who
from migrations_app.dashboard.ending import Ending, ending
from migrations_app.dashboard.way_back import lives_now
from migrations_app.engine.plan import plan_of
from migrations_app.models import AppMigration, Approval, StepRun
from migrations_app.states import STARTS, ApprovalState, RunStatus, Status, Step

_BEGINS = "It begins as soon as a worker takes it."


def standing(
    move: AppMigration,
    runs: list[StepRun],
    asked: list[Approval],
    waiting: Approval | None,
    now: datetime,
    *,
    may_decide: bool,
) -> dict[str, Any]:
    """`badge, tone, sentence, since, stopped, ends, goes_on, next_try, came_to_nothing, lives_now, people,
    nothing_to_press, notes, error`.

    `since`, `stopped` and `ends` are times that the sentence goes on with, or None. The notes are about approvals: what
    waits for one, and which became void. `asked`: every request for consent about it; `waiting`: the open one.
    `may_decide`: the user has a right to one of the verbs that end a hold.
    """
    run = runs[-1] if runs and runs[-1].ended_at is None else None
    end = ending(move)
    seconds = estimates.time_left(move, run, now) if move.status == Status.RUNNING else None
    return {
        "badge": badge(move.status),
        "tone": tone_of(move.status),
        "sentence": _sentence(move, waiting, run, now),
        "since": _since(move, end),
        "goes_on": move.status in (Status.RUNNING, Status.ABORTING, Status.HELD),
        "came_to_nothing": end.sentence if end else "",
        "stopped": (runs[-1].ended_at if runs else None) if move.status == Status.HELD else None,
        "ends": None if seconds is None else now + timedelta(seconds=seconds),
        "next_try": queries.next_try(move),
        "lives_now": lives_now(move),
        "people": _people(move, asked),
        "nothing_to_press": _nothing_to_press(move, may_decide=may_decide),
        "notes": notes_on(move, waiting),
        "error": "" if move.status == Status.COMPLETED else move.last_error,
    }


def _since(move: AppMigration, end: Ending | None) -> datetime | None:
    if move.status == Status.ABORTING:
        return end.since if end else None
    return move.step_started_at if move.status == Status.RUNNING else None


def notes_on(move: AppMigration, waiting: Approval | None) -> list[str]:
    if waiting is None:
        return []
    return void_sentences(move) if waiting.act in STARTS else [waits_sentence(waiting, move)]


def _sentence(move: AppMigration, waiting: Approval | None, run: StepRun | None, now: datetime) -> str:
    app, source, dest = move.app, move.source_region, move.dest_region
    if move.status == Status.AWAITING_APPROVAL:
        limit = markup(" It is to be decided by {}.", clock(waiting.expires_at)) if waiting else ""
        return markup("It waits for somebody else to approve it. Nothing has begun.{}", limit)
    if move.status == Status.QUEUED:
        starts = approvals.earliest_start(move, now)
        when = markup("It begins at {} at the earliest.", clock(starts)) if starts and starts > now else _BEGINS
        return markup("Nothing has begun. {}", run.reason if run and run.status == RunStatus.WAITING else when)
    if move.status == Status.RUNNING:
        plan = plan_of(move.strategy)
        place = f"step {plan.index(Step(move.current_step)) + 1} of {len(plan)}, {move.current_step}"
        return f"{writes_of(move)['works']} It is at {place}"
    if move.status == Status.HELD:
        stopped = "The undoing stopped" if move.ends_as else "It stopped"
        return f"Somebody has to decide how it goes on. {stopped} at {move.current_step}"
    if move.status == Status.ABORTING:
        return f"Everything it did is being undone; it will end as {move.ends_as}. That goes on"
    when = clock(move.completed_at)
    if move.status == Status.COMPLETED and move.pivot_at:
        blocked = f"; writes were blocked for {blocked_for(move)}" if blocked_for(move) else ""
        return markup("{} was brought to {} at {}{}.", app, dest, when, blocked)
    if move.status == Status.COMPLETED:
        text = "The rehearsal ended at {}. {} stayed in {}, and nothing of it is left in {}."
        return markup(text, when, app, source, dest)
    if move.pivot_at:
        return markup("It ended at {}, after the switch: {} was served from {}.", when, app, dest)
    return markup("It ended at {}, and {} stayed in {}. Nothing of it is left in {}.", when, app, source, dest)


def _people(move: AppMigration, asked: list[Approval]) -> str:
    requester = who(move.requested_by.get_username() if move.requested_by else None)
    start = next((approval for approval in reversed(asked) if approval.act in STARTS), None)
    if start is None:
        return f"{requester} asked for it; nobody else was asked."
    decider = start.decided_by.get_username() if start.decided_by else "the portal"
    return {
        ApprovalState.OPEN: f"{requester} asked for it; nobody has approved it yet.",
        ApprovalState.APPROVED: f"{requester} asked for it, {decider} approved it.",
        ApprovalState.REJECTED: f"{requester} asked for it, {decider} rejected it.",
        ApprovalState.WITHDRAWN: f"{requester} asked for it, and withdrew it.",
        ApprovalState.EXPIRED: f"{requester} asked for it; it did not begin in time.",
        ApprovalState.VOID: f"{requester} asked for it; what was approved changed since.",
    }[ApprovalState(start.state)]


def _nothing_to_press(move: AppMigration, *, may_decide: bool) -> str:
    """Why there may be no button: it goes on by itself, or somebody else has to decide; else empty."""
    if move.status == Status.HELD and not may_decide:
        return "You may not decide how it goes on: somebody with the role Operator or Admin does."
    if move.status == Status.ABORTING:
        return "Nothing is to be pressed: it undoes itself."
    if move.status == Status.RUNNING and move.pivot_at:
        return f"Nothing is to be pressed: {move.app} has been switched, and the last steps follow by themselves."
    return ""


def writes_of(move: AppMigration) -> dict[str, Any]:
    """Whether the app takes writes, of a move that is not over: `works` in a sentence; `blocked_since`, or None; and a
    `sentence` that goes on with for how long. The last step lowers the fence; that writes are open is proven at its
    end only."""
    app = move.app
    if move.writes_blocked_at is None or move.writes_unblocked_at is not None:
        return {"works": f"{app} goes on as usual.", "blocked_since": None, "sentence": ""}
    if move.status == Status.HELD and (move.pivot_at or move.ends_as):
        works = f"{app} can be read, and may take no writes."
        sentence = "Writes may still be blocked, and nothing ends that by itself: so for"
    elif move.current_step == Step.UNBLOCKING_WRITES and move.pivot_at:
        works, sentence = f"Writes of {app} are being opened.", "Whether it takes writes is not proven yet, for"
    else:
        works, sentence = f"{app} can be read, and takes no writes.", "Writes are blocked, for"
    return {"works": works, "blocked_since": move.writes_blocked_at, "sentence": sentence}


def blocked_for(move: AppMigration) -> str:
    return "" if move.blocked_seconds is None else span(move.blocked_seconds)

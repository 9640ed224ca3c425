"""A move as people follow it in a terminal: the eleven steps with their bars; plain lines when it is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection
from django.utils import timezone
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from migrations_app import estimates, published, queries
from migrations_app.errors import PortalError
from migrations_app.management.printing import printable
from migrations_app.models import AppMigration, StepRun
from migrations_app.progress import BUSY, amount, sentence
from migrations_app.states import TERMINAL, ApprovalState, Direction, ReplicaState, RunStatus, Status

_LOOK_SECONDS = 0.25
_PROGRESS_LINE_SECONDS = 10.0
_BAR_WIDTH, _NARROW_BAR_WIDTH, _NARROW = 24, 8, 100
_MOST_TABLES = 8
_MOST_COMMENTS, _LONGEST_COMMENT = 5, 200
_ICONS = {
    "pending": ("·", "dim"),
    RunStatus.WAITING: ("◷", "yellow"),
    RunStatus.RUNNING: ("▶", "cyan"),
    RunStatus.DONE: ("✓", "green"),
    RunStatus.SKIPPED: ("-", "dim"),
    RunStatus.FAILED: ("✗", "red"),
    RunStatus.INTERRUPTED: ("!", "yellow"),
}


class Stopped(PortalError):
    """Ctrl-C. Exit status 130."""

    code = "stopped"


def watch(move_id: UUID, *, plain: bool = False) -> AppMigration:
    """Follow the move until it ends or is held; the row as it is then. Stopped on Ctrl-C, which stops nothing else.

    `plain` prints nothing at all (for --json); without a terminal, a line for each step and act as they happen.
    """
    with going_on_without_you(move_id, "The move"):
        if plain:
            return _until_still(move_id, lambda move: None)
        console = Console()
        if not sys.stdout.isatty() or console.is_dumb_terminal:
            return _until_still(move_id, _LinePrinter())
        with Live(console=console, refresh_per_second=8) as live:
            return _until_still(move_id, lambda move: live.update(_screen(move, console.width)))


@contextmanager
def going_on_without_you(move_id: UUID, what: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        connection.close()  # it may have been in the middle of a question, and takes no other one then
        move = queries.move(move_id, viewer=None)
        raise Stopped(
            f"{what} goes on without you: {move.pk} is {move.status}.",
            hint=f"See how: move_app_status {move.app} {move.pk}",
        ) from None


def wanted_end(move: AppMigration) -> Status:
    """How the move ends if nothing goes wrong from here on."""
    return Status(move.ends_as or Status.COMPLETED)


def _until_still(move_id: UUID, show: Any) -> AppMigration:
    while True:
        move = queries.move(move_id, viewer=None)
        show(move)
        if move.status in TERMINAL or move.status == Status.HELD:
            return move
        time.sleep(_LOOK_SECONDS)


def as_text(move: AppMigration) -> str:
    """The move in a dozen lines: who, where, how far, what is wrong."""
    lines = [_headline(move), *_circumstances(move)]
    for step in published.steps_of(move):
        icon = "↶" if step["undone"] else _ICONS[step["state"]][0]
        lines.append(f"  {icon} {step['step']:<32} {_remark(step)}".rstrip())
    if move.last_error and move.status != Status.COMPLETED:
        lines.append(f"Last error: {move.last_error}")
    return "\n".join(lines)


def waits_for(move: AppMigration) -> str:
    """What somebody has to do about the move; empty: nothing."""
    if move.status == Status.HELD:
        verbs = "retry" if move.ends_as else "retry|reverse" if move.pivot_at else "retry|abort"
        return f"Somebody decides how it goes on: manage_migrations {verbs} {move.pk} --reason WHY"
    if not queries.waits_for_approval(move):
        return ""
    return f"Somebody else approves it: approve_migration {move.pk} --as USER"


def _headline(move: AppMigration) -> str:
    # A rehearsal that went well is undone as an abort is, which would not be said of it.
    rehearsed = move.ends_as == Status.COMPLETED and move.status == Status.ABORTING
    status = "went well, is undone" if rehearsed else move.status
    return f"{move.kind} {move.pk}  {move.app}  {move.source_region} → {move.dest_region}  {status}"


def _circumstances(move: AppMigration) -> list[str]:
    """Who asked and why; when it may start; how long writes were or are blocked; what became of the replica."""
    about = published.circumstances(move)
    asked = f"asked for by {about['requested_by'] or 'an operator'} at {move.initiated_at:%Y-%m-%d %H:%M} UTC"
    lines = [f"  {asked}: {move.reason}" if move.reason else f"  {asked}"]
    if move.ticket_url:
        lines.append(f"  {move.ticket_url}")
    lines += [f"  {_consent(approval)}" for approval in about["approvals"]]
    if about["earliest_start"] and about["earliest_start"] > timezone.now():
        lines.append(f"  not before {about['earliest_start']:%Y-%m-%d %H:%M} UTC")
    lines += [f"  {line}" for line in _to_be_expected(move)]
    if about["blocked_seconds"] is not None:
        lines.append(f"  writes were blocked for {about['blocked_seconds']:.1f} s")
    elif move.writes_blocked_at:
        lines.append(f"  writes are blocked since {move.writes_blocked_at:%H:%M:%S} UTC")
    if again := queries.next_try(move):
        lines.append(f"  {again}")
    if about["worker"]:
        lines.append(f"  worked on by {about['worker']}")
    replica = getattr(move, "source_replica", None)
    if replica:
        until = f", kept until {replica.review_at:%Y-%m-%d}" if replica.state == ReplicaState.RETAINED else ""
        lines.append(f"  its replica in {replica.region}: {replica.state}{until}")
    lines += [f"  {_said(comment)}" for comment in about["comments"][-_MOST_COMMENTS:]]
    return lines


def _said(comment: dict[str, Any]) -> str:
    """A comment in a line, its beginning if it is long."""
    text = " ".join(comment["text"].split())
    cut = f"{text[:_LONGEST_COMMENT]}…" if len(text) > _LONGEST_COMMENT else text
    return f"{comment['at']:%Y-%m-%d %H:%M} UTC {comment['who']}: {cut}"


def _to_be_expected(move: AppMigration) -> list[str]:
    """Why the strategy is what it is; before the move begins, how long it may take and what preflight found."""
    lines = [f"{move.strategy}: {move.strategy_reason}"] if move.strategy_reason else []
    if move.estimate and move.status in (Status.AWAITING_APPROVAL, Status.QUEUED):
        lines.append(estimates.in_words(move.estimate))
    if move.status == Status.AWAITING_APPROVAL:
        problems = [f for f in move.preflight if f["outcome"] != "pass"]
        lines += [f"preflight: {f['outcome']} {f.get('id') or f['check']}: {f['found']}" for f in problems]
    return lines


def _consent(approval: dict[str, Any]) -> str:
    """What became of a request for a second person's consent, in a line."""
    if approval["state"] == ApprovalState.OPEN:
        who, until = approval["requested_by"] or "an operator", f"{approval['expires_at']:%Y-%m-%d %H:%M} UTC"
        return f"{approval['act']} asked for by {who}, waits for approval until {until}"
    by = f" by {approval['decided_by']}" if approval["decided_by"] else ""
    comment = f": {approval['comment']}" if approval["comment"] else ""
    return f"{approval['act']} {approval['state']}{by}{comment}"


def _remark(step: dict[str, Any]) -> str:
    seconds = step["seconds"]
    if seconds is None and step["started_at"] and step["state"] == RunStatus.RUNNING:
        seconds = max(0.0, (timezone.now() - step["started_at"]).total_seconds())
    parts = [
        step["state"],
        f"{seconds:.1f} s" if seconds is not None and not step["skipped"] else "",
        *(_how_far(step) if step["state"] == RunStatus.RUNNING else ()),
        f"attempt {step['attempts']}" if step["attempts"] > 1 else "",
        step["reason"],
        "undone" if step["undone"] else "",
        "(the point of no return)" if step["pivot"] and step["state"] == "pending" else "",
    ]
    return "  ".join(part for part in parts if part)


def _how_far(step: dict[str, Any]) -> tuple[str, str]:
    return f"{step['progress']:.0%}" if step["progress"] is not None else "", sentence(step["details"] or {})


def _add_tables(table: Table, details: dict[str, Any], bar_width: int) -> None:
    """A line for each table that is worked on now, the largest first."""
    busy = [(name, of) for name, of in details["tables"].items() if of["state"] in BUSY]
    for name, of in sorted(busy, key=lambda item: (-item[1]["total"], item[0]))[:_MOST_TABLES]:
        done, total = (amount(of[key], details["unit"]) for key in ("done", "total"))
        bar = ProgressBar(total=of["total"], completed=of["done"], width=bar_width)
        table.add_row("", Text(f"  {name}", "dim"), bar, f"{of['state']}  {done} of {total}, {of['rows']:,} rows")


def _screen(move: AppMigration, width: int) -> Group:
    """`width`: of the terminal, in columns. A narrow one gets shorter bars, and remarks over several lines."""
    bar_width = _BAR_WIDTH if width >= _NARROW else _NARROW_BAR_WIDTH
    table = Table(box=None, show_header=False, padding=(0, 1))
    for no_wrap in (True, True, True, False):
        table.add_column(no_wrap=no_wrap)
    steps = published.steps_of(move)
    for step in steps:
        icon, style = _ICONS[step["state"]]
        done = step["state"] in (RunStatus.DONE, RunStatus.SKIPPED)
        bar = ProgressBar(total=1, completed=1 if done else step["progress"] or 0, width=bar_width)
        table.add_row(
            Text(icon, style), Text(step["step"], "bold" if step["state"] == "running" else ""), bar, _remark(step)
        )
        if step["state"] == RunStatus.RUNNING and step["details"]:
            _add_tables(table, step["details"], bar_width)
    last_act = next((step["acts"][-1]["text"] for step in reversed(steps) if step["acts"]), "")
    return Group(
        Text(_headline(move), "bold"),
        Text(waits_for(move), "yellow"),
        table,
        Text(printable(last_act), "dim"),
        Text(printable(move.last_error), "red"),
        Text(queries.next_try(move), "yellow"),
    )


class _LinePrinter:
    """Prints what is new since it was last called: status, what is waited for, every act, how every attempt ended.

    How far a step is, once in a while.
    """

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._printed: dict[int, int] = {}
        self._ended: set[int] = set()
        self._run_seen: int | None = None
        self._progress_at = 0.0

    def __call__(self, move: AppMigration) -> None:
        self._say("status", _headline(move))
        self._say("waits for", waits_for(move))
        self._say("next try", queries.next_try(move))
        for run in move.step_runs.order_by("id"):
            name = run.step if run.direction == Direction.DO else f"undo {run.step}"
            for act in run.acts[self._printed.get(run.pk, 0) :]:
                _print(f"  {name}: {act['text']}")
            self._printed[run.pk] = len(run.acts)
            if run.status == RunStatus.WAITING:
                self._say(run.step, f"{_ICONS[run.status][0]} {name:<32} {run.status}  {run.reason}")
            elif run.status == RunStatus.RUNNING:
                self._say_how_far(run, name)
            elif run.ended_at and run.pk not in self._ended:
                self._ended.add(run.pk)
                took = f"{(run.ended_at - run.started_at).total_seconds():.1f} s"
                remark = run.reason if run.status == RunStatus.SKIPPED else f"{took}  {run.reason}".rstrip()
                _print(f"{_ICONS[run.status][0]} {name:<32} {run.status}  {remark}")

    def _say_how_far(self, run: StepRun, name: str) -> None:
        """Not of a step that has only just begun."""
        if run.pk != self._run_seen:
            self._run_seen, self._progress_at = run.pk, time.monotonic()
        if run.progress and time.monotonic() - self._progress_at >= _PROGRESS_LINE_SECONDS:
            self._progress_at = time.monotonic()
            _print(f"  {name}: {sentence(run.progress)}")

    def _say(self, about: str, text: str) -> None:
        if self._said.get(about, "") != text:
            self._said[about] = text
            if text:
                _print(text)


def _print(line: str) -> None:
    print(printable(line), flush=True)  # noqa: T201

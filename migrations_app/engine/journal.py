"""What a runner writes down about a move, each write under its fencing token.

`Journal` is the engine's side of `move.Move`: a step calls act(), remember(), progress() …, and every one of them
fails with LeaseLost once another runner has claimed the move.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Unpack

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.db.models import F, TextField, Value
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Coalesce, JSONObject, Now

from migrations_app.engine.lease import Lease, now
from migrations_app.errors import AbortRequested, LeaseLost, TransientError
from migrations_app.models import App, AppMigration, StepRun
from migrations_app.models.app_migration import LONG_FIELDS
from migrations_app.move import Move
from migrations_app.progress import Details, Meter
from migrations_app.states import Direction, RunStatus, Status, Step
from migrations_app.transitions import change_status, record

_BETWEEN_TRIES_SECONDS = 120.0
"""The longest pause, or a look at what an undoing leaves behind; what takes longer hangs."""


def appended_act(text: str) -> CombinedExpression:
    """The column `acts` with one more line at its end, at the database's time."""
    return CombinedExpression(F("acts"), "||", JSONObject(at=Now(), text=Value(text, TextField())))


def blocked_too_long(seconds: float) -> str:
    """Why a move aborts itself."""
    return f"Writes were blocked for longer than the {seconds} s they may be."


def deadline_of(step: Step, direction: Direction, move: AppMigration) -> float:
    """Seconds that a try may take. Past the pivot nothing is read or written that grows with the app; what is undone
    while writes are open may take its time: a database to drop, a bucket to empty."""
    of_any: float = settings.MOVES_STEP_DEADLINES["any"]
    if direction is Direction.UNDO:
        blocked = move.writes_blocked_at and not move.writes_unblocked_at
        return of_any if blocked else max(settings.MOVES_STEP_DEADLINES.values())
    own: float = settings.MOVES_STEP_DEADLINES.get(step, of_any)
    return min(own, of_any) if move.pivot_at else own


log = structlog.get_logger()


class Journal(Move):
    def __init__(self, lease: Lease[AppMigration]) -> None:
        self.lease = lease
        self.row = AppMigration.objects.select_related("app", "source_region", "dest_region", "reverses").get(
            pk=lease.pk
        )
        self.run: StepRun | None = None
        self._meter = Meter()
        self._block_budget = self.row.block_budget
        self._block_ends_at: float | None = None
        self._seconds, self._deadline = 0.0, math.inf
        self._watch_block()

    # -- Move: what steps use -------------------------------------------------------------------------------

    def act(self, text: str) -> None:
        self._write_run(acts=appended_act(text))

    def check(self) -> None:
        self.lease.check(blocked=bool(self.row.writes_blocked_at and not self.row.writes_unblocked_at))
        if self.lease.undoing:
            self._check_deadline()
            return
        if self.lease.abort_wanted:
            raise AbortRequested
        if self._block_ends_at is not None and self.row.pivot_at is None and now() > self._block_ends_at:
            self.change_status(
                Status.ABORTING,
                verb="abort",
                reason=blocked_too_long(self._block_budget),
                ends_as=Status.ABORTED,
            )
            raise AbortRequested
        self._check_deadline()

    def remember(self, **facts: Any) -> None:
        with self._locked() as row:
            row.facts = {**row.facts, **facts}
            row.save(update_fields=["facts"])
        self.row.facts = row.facts

    def progress(self, done: int, total: int, unit: str, **details: Unpack[Details]) -> None:
        kept = self._meter.take(time.monotonic(), done, total, unit, **details)
        if kept:
            self._write_run(progress_done=kept["done"], progress_total=kept["total"], progress_unit=unit, progress=kept)

    def stamp(self, field: str) -> None:
        self.lease.write(**{field: Coalesce(F(field), Now())})
        self.row.refresh_from_db(fields=[field])
        self._watch_block()

    def keep_report(self, report: dict[str, Any]) -> None:
        self.lease.write(verification=report)

    def pass_pivot(self) -> None:
        with self._locked() as row:
            if row.status != Status.RUNNING:
                raise AbortRequested
            if row.pivot_at is None:
                AppMigration.objects.filter(pk=row.pk).update(pivot_at=Now())
                App.objects.filter(pk=row.app_id).update(region_id=row.dest_region_id)
                record("pass_pivot", migration=row)
        self.row.refresh_from_db(fields=["pivot_at"])
        self.app.refresh_from_db(fields=["region"])
        if self.run:
            self._limit_try(deadline_of(Step(self.run.step), Direction.DO, self.row))

    # -- the executor's side ----------------------------------------------------------------------------------

    def begin(self, step: Step, direction: Direction) -> None:
        """Open a StepRun for the next attempt; one that a dead runner left open is closed as interrupted."""
        self._meter = Meter(time.monotonic())
        with self._locked() as row:
            if direction is Direction.DO and row.status != (
                Status.QUEUED if step == Step.REQUESTED else Status.RUNNING
            ):
                raise AbortRequested
            self.close_open_runs()
            runs = row.step_runs.filter(step=step, direction=direction)
            self.run = runs.filter(status=RunStatus.WAITING).first()
            if self.run:
                runs.filter(pk=self.run.pk).update(status=RunStatus.RUNNING, reason="", ended_at=None)
            else:
                earlier = runs.count()
                self.run = row.step_runs.create(step=step, direction=direction, attempt=earlier + 1)
                if earlier == 0:
                    row.retry_count = row.worker_deaths = 0
            if direction is Direction.DO and (row.current_step != step or row.step_started_at is None):
                row.current_step, row.step_started_at = step, Now()
            row.next_try_at = None
            row.save(update_fields=["current_step", "step_started_at", "retry_count", "worker_deaths", "next_try_at"])
        self.row.refresh_from_db()
        self._limit_try(deadline_of(step, direction, self.row))

    def close_open_runs(self) -> None:
        """A run that a dead runner left open is not running."""
        StepRun.objects.filter(migration_id=self.lease.pk, status=RunStatus.RUNNING).update(
            status=RunStatus.INTERRUPTED, ended_at=Now(), reason="Its runner went away."
        )

    def end(self, status: RunStatus, *, reason: str = "", error_code: str = "") -> None:
        if self.run:
            log.info("step.ended", move=str(self.row.pk), step=str(self.run.step), status=str(status), reason=reason)
        self._write_run(status=status, ended_at=Now(), reason=reason, error_code=error_code)
        self.run = None
        self.lease.limit_at = now() + _BETWEEN_TRIES_SECONDS

    def note_error(self, reason: str, code: str, **fields: Any) -> None:
        self.lease.write(last_error=reason, last_error_code=code, **fields)
        self.row.refresh_from_db()

    def change_status(self, to: Status, *, verb: str, reason: str = "", **fields: Any) -> None:
        """As transitions.change_status; AbortRequested if a person's abort came first."""
        with self._locked() as row:
            if row.status != self.row.status:
                raise AbortRequested
            change_status(row, to, verb=verb, reason=reason, **fields)
        self.row.refresh_from_db()

    @contextmanager
    def locked(self) -> Iterator[AppMigration]:
        """A transaction that holds the move's row, for what has to be written together."""
        with self._locked() as row:
            yield row
        self.row.refresh_from_db()

    @contextmanager
    def _locked(self) -> Iterator[AppMigration]:
        with transaction.atomic():
            row = (
                AppMigration.objects.select_for_update(no_key=True)
                .filter(pk=self.lease.pk, fencing_token=self.lease.token)
                .defer(*LONG_FIELDS)
                .first()
            )
            if row is None:
                raise LeaseLost
            yield row

    def _watch_block(self) -> None:
        """Writes have been blocked since a time on the database's clock; count on by this process's own."""
        if self.row.writes_blocked_at is None or self._block_ends_at is not None:
            return
        with connection.cursor() as cursor:
            cursor.execute("SELECT extract(epoch FROM clock_timestamp() - %s)", [self.row.writes_blocked_at])
            blocked_for = float(cursor.fetchone()[0])
        self._block_ends_at = now() + self._block_budget - blocked_for
        self._limit_runner()

    def _limit_try(self, seconds: float) -> None:
        self._seconds, self._deadline = seconds, now() + seconds
        self._limit_runner()

    def _limit_runner(self) -> None:
        """What hangs is not to outlive the step's deadline, nor the time writes may be blocked."""
        ends = None if self.lease.undoing or self.row.pivot_at else self._block_ends_at
        self.lease.limit_at = min(self._deadline, math.inf if ends is None else ends)

    def _check_deadline(self) -> None:
        if self.run and now() > self._deadline:
            self._deadline = math.inf  # said once; what cleans up asks again
            raise TransientError(
                f"It was not done within {self._seconds:.0f} s.",
                hint="MOVES_STEP_DEADLINES sets how long a try of a step may take.",
                code="deadline",
            )

    def _write_run(self, **fields: Any) -> None:
        if self.run is None:
            raise RuntimeError("A step writes to its log outside of a run.")
        with self._locked():
            StepRun.objects.filter(pk=self.run.pk).update(**fields)

"""The executor: one claimed move, carried as far as it can go.

claim → requested (queued) → start → for each further step of the plan: begin, (skip | do), end → complete
                                                  │
                                                  └ before the pivot: undo all that was begun → aborted | failed
                                                    after it: held, a person decides
"""

from __future__ import annotations

import random
import time
from datetime import timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models.functions import Now

from migrations_app import approvals, orphans
from migrations_app.dataplane.database import sessions
from migrations_app.engine import completion, predecessor
from migrations_app.engine.journal import Journal
from migrations_app.engine.lease import Lease, claim
from migrations_app.engine.plan import plan_of
from migrations_app.engine.undoing import left_to_undo
from migrations_app.errors import (
    AbortRequested,
    ApprovalVoid,
    Deferred,
    HandedBack,
    LeaseLost,
    StepError,
    TransientError,
)
from migrations_app.models import AppMigration
from migrations_app.states import WORKED, Direction, RunStatus, Status, Step
from migrations_app.steps import STEPS

log = structlog.get_logger()

MAX_WORKER_DEATHS = 3


def run_move(move_id: UUID | str) -> str:
    """Work on a move until it ends, waits, or is held; one sentence for the worker's log.

    Safe to call at any time, any number of times: without a free lease it does nothing.
    """
    lease = claim(AppMigration.objects.filter(status__in=WORKED), move_id)
    if lease is None:
        return f"Move {move_id} is not due, or another runner has it."
    log.info("move.claimed", move=str(move_id), token=lease.token, previous_owner_died=lease.previous_owner_died)
    pause = timedelta(0)
    try:
        with lease.kept(), sessions.kept():
            predecessor.evict(lease)
            sentence = Executor(lease).carry()
    except Deferred as deferred:
        sentence, pause = deferred.reason, timedelta(seconds=deferred.seconds)
    except HandedBack as stop:
        sentence = stop.reason
    except LeaseLost:
        sentence = "The lease was lost."
    except (OperationalError, InterfaceError) as error:
        sentence, pause = f"The portal's database failed ({type(error).__name__}); it goes on.", timedelta(seconds=1)
    lease.release(due_at=Now() + pause)
    log.info("move.released", move=str(move_id), outcome=sentence)
    return sentence


class Executor:
    def __init__(self, lease: Lease[AppMigration]) -> None:
        self.journal = Journal(lease)
        self.previous_owner_died = lease.previous_owner_died

    @property
    def row(self) -> AppMigration:
        return self.journal.row

    def carry(self) -> str:
        try:
            if self.previous_owner_died:
                self._count_death()
            if self.row.status == Status.QUEUED and self._may_start():
                self.journal.change_status(Status.RUNNING, verb="start")
            if self.row.status == Status.RUNNING:
                self._forward()
        except AbortRequested:
            self.row.refresh_from_db()
        except ApprovalVoid as void:
            with self.journal.locked() as row:
                if row.status == Status.QUEUED:
                    approvals.void(row, reason=void.reason, findings=void.findings)
        if self.row.status == Status.ABORTING:
            self._backward()
        return f"{self.row.status}, {self.row.current_step}"

    # -- start ----------------------------------------------------------------------------------------------

    def _may_start(self) -> bool:
        """Walk `requested`, which changes nothing: until it is done, the move is queued and can be taken back."""
        if approvals.expire_if_overdue(self.row):
            raise AbortRequested
        return self._succeeds(Step.REQUESTED, Direction.DO)

    # -- forward --------------------------------------------------------------------------------------------

    def _forward(self) -> None:
        done = set(
            self.row.step_runs.filter(
                direction=Direction.DO, status__in=[RunStatus.DONE, RunStatus.SKIPPED]
            ).values_list("step", flat=True)
        )
        for step in plan_of(self.row.strategy):
            if step not in done and not self._succeeds(step, Direction.DO):
                return
        completion.complete(self.journal)

    def _succeeds(self, step: Step, direction: Direction) -> bool:
        """Try the step until it is done (True), or its failure has changed the move's status (False)."""
        while True:
            self.journal.check()
            self.journal.begin(step, direction)
            try:
                self._once(step, direction)
                return True
            except StepError as error:
                self.journal.end(RunStatus.FAILED, reason=str(error), error_code=error.code)
                if not (error.transient and self.row.retry_count + 1 < settings.MOVES_STEP_TRIES):
                    self._give_up(step, direction, error)
                    return False
                self._back_off(error)
            except AbortRequested:
                self.journal.end(RunStatus.INTERRUPTED, reason="The move is being aborted.")
                raise
            except (ApprovalVoid, HandedBack) as interruption:
                self.journal.end(RunStatus.INTERRUPTED, reason=interruption.reason)
                raise
            except Deferred as deferred:
                self.journal.end(RunStatus.WAITING, reason=deferred.reason)
                raise

    def _once(self, step: Step, direction: Direction) -> None:
        work = STEPS[step]
        self._tell_of_predecessors()
        try:
            if direction is Direction.UNDO:
                work.undo(self.journal)
            elif reason := work.skip(self.journal):
                self.journal.end(RunStatus.SKIPPED, reason=reason)
                return
            else:
                work.do(self.journal)
        except StepError:
            self.journal.check()  # a stop may have ended the subprocess too: then the step has not failed
            raise
        except OSError as error:  # a full disk, a folder that cannot be written
            raise TransientError(
                f"The worker's machine: {error}.", hint="Check the folder MOVES_WORK_DIR.", code="worker_machine"
            ) from error
        self._tell_of_predecessors()
        self.journal.end(RunStatus.DONE)

    def _tell_of_predecessors(self) -> None:
        notes = self.journal.lease.notes
        while notes:
            self.journal.act(notes.pop(0))

    def _give_up(self, step: Step, direction: Direction, error: StepError) -> None:
        self.journal.note_error(str(error), error.code)
        reason = f"{step}: {error}"
        if direction is Direction.UNDO:
            self._hold(f"Undoing {reason}", error.code, undoing=True)
        elif self.row.status == Status.QUEUED:
            self.journal.change_status(Status.FAILED, verb="fail", reason=reason)
        elif self.row.pivot_at:
            self.journal.change_status(Status.HELD, verb="hold", reason=reason)
        else:
            self.journal.change_status(Status.ABORTING, verb="fail", reason=reason, ends_as=Status.FAILED)

    def _hold(self, reason: str, code: str, *, undoing: bool) -> None:
        """What is still there is told afterwards: to look takes time, and may hang as what came before."""
        self.journal.note_error(reason, code)
        self.journal.change_status(Status.HELD, verb="hold", reason=reason)
        if undoing and (left := orphans.left_by(self.row)):
            self.journal.note_error(f"{reason} {left}", code)

    def _back_off(self, error: StepError) -> None:
        """1, 2, 4 … seconds, each up to half longer by chance; an abort or a lost lease ends the pause."""
        retries = self.row.retry_count + 1
        pause = min(2.0 ** (retries - 1), settings.MOVES_BACKOFF_MAX_SECONDS) * random.uniform(1, 1.5)  # noqa: S311 — not for secrets
        until = time.monotonic() + pause
        self.journal.note_error(
            str(error), error.code, retry_count=retries, next_try_at=Now() + timedelta(seconds=pause)
        )
        while time.monotonic() < until:
            self.journal.check()
            time.sleep(0.1)

    # -- backward -------------------------------------------------------------------------------------------

    def _backward(self) -> None:
        self.journal.lease.undoing = True
        for step in left_to_undo(self.row):
            if not self._succeeds(step, Direction.UNDO):
                return
        self.journal.change_status(Status(self.row.ends_as), verb="undone", **self._cause())

    def _cause(self) -> dict[str, str]:
        """Why the move failed, whatever the undoing stumbled over since."""
        failed = self.row.step_runs.filter(direction=Direction.DO, status=RunStatus.FAILED).last()
        if self.row.ends_as != Status.FAILED or failed is None:
            return {}
        return {"last_error": failed.reason, "last_error_code": failed.error_code}

    # -- deaths ---------------------------------------------------------------------------------------------

    def _count_death(self) -> None:
        deaths = self.row.worker_deaths + 1
        left_open = self.row.step_runs.filter(status=RunStatus.RUNNING).last()
        undoing = bool(left_open and left_open.direction == Direction.UNDO)
        at = ("undoing " if undoing else "") + (left_open.step if left_open else self.row.current_step)
        self.journal.note_error(f"The worker died or fell silent in {at}.", "worker_died", worker_deaths=deaths)
        if deaths < MAX_WORKER_DEATHS:
            return
        with self.journal.locked():
            self.journal.close_open_runs()
        reason = f"{deaths} workers died or fell silent in {at}."
        if self.row.status == Status.QUEUED:
            self.journal.change_status(Status.FAILED, verb="fail", reason=reason)
        else:
            self._hold(reason, "worker_died", undoing=undoing)

"""The way back from a move that is held past its pivot (docs/decisions/0011). At night, so nobody else is asked."""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from migrations_app import bell, rules
from migrations_app.actions.locks import locked_app, locked_move, refuse
from migrations_app.clock import database_now
from migrations_app.engine.completion import leave_replica
from migrations_app.engine.undoing import is_way_back_open
from migrations_app.errors import Refused
from migrations_app.models import App, AppMigration
from migrations_app.preflight import look
from migrations_app.states import Kind, RunStatus, Status, Step, Strategy
from migrations_app.transitions import CHANGED_MEANWHILE, change_status, record


def from_held(move: AppMigration, *, acting_user: User | None, reason: str) -> AppMigration:
    """The move itself, being undone, if its destination has not taken any write; else the reverse that takes over.

    That one is looked at first: once it has taken over, the held move can no more be retried."""
    if move.status == Status.HELD and is_way_back_open(move):
        refuse(rules.forbids_by_preflight(look(reverse_of(move, acting_user, reason))))
    with transaction.atomic():
        locked_app(move.app)
        held = locked_move(move)
        if held.status != Status.HELD or not held.pivot_at:
            raise Refused([CHANGED_MEANWHILE])
        return (_take_over if is_way_back_open(held) else _undo)(held, acting_user, reason)


def _undo(held: AppMigration, actor: User | None, reason: str) -> AppMigration:
    App.objects.filter(pk=held.app_id).update(region_id=held.source_region_id)
    change_status(
        held,
        Status.ABORTING,
        verb="go_back",
        actor=actor,
        reason=reason,
        ends_as=Status.ABORTED,
        pivot_at=None,
        retry_count=0,
        worker_deaths=0,
        last_error="",
        last_error_code="",
        due_at=Now(),
    )
    bell.ring_on_commit(bell.RUN_MOVE, held.pk, held.dest_region.slug)
    return held


def reverse_of(move: AppMigration, actor: User | None, reason: str) -> AppMigration:
    """Not on the books yet."""
    return AppMigration(
        app=move.app,
        kind=Kind.REVERSE,
        strategy=Strategy.REVERSE,
        source_region=move.dest_region,
        dest_region=move.source_region,
        reverses=move,
        requested_by=actor,
        reason=reason,
    )


def _take_over(held: AppMigration, actor: User | None, reason: str) -> AppMigration:
    """The reverse is under way from the start, where the held move stands: behind its fence, in its slot, every edge on
    a route of ours. So whatever ends it early, an abort or a failure, undoes that block of writes too."""
    leave_replica(held)
    change_status(held, Status.FAILED, verb="reverse", actor=actor, reason=reason)
    back = reverse_of(held, actor, reason)
    back.status, back.current_step = Status.RUNNING, Step.RESERVING_DEST
    back.facts = {"slot": True, "source": held.fact("source")}
    if back.app.is_routed:
        back.facts["routes_there"] = settings.EDGE_ADMIN_URLS
    if not held.writes_unblocked_at:
        back.writes_blocked_at = database_now()
    back.save(force_insert=True)
    note = f"The reverse takes over from move {held}, which had begun."
    back.step_runs.create(step=Step.REQUESTED, status=RunStatus.SKIPPED, ended_at=Now(), reason=note)
    back.step_runs.create(step=Step.BLOCKING_WRITES, status=RunStatus.INTERRUPTED, ended_at=Now(), reason=note)
    record("reverse", migration=back, actor=actor, to_status=Status.RUNNING, reason=reason)
    bell.ring_on_commit(bell.RUN_MOVE, back.pk, back.dest_region.slug)
    return back

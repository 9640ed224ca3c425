"""Abort, retry and teardown: by the person who wants it, or by whoever approved it."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from migrations_app import approvals, bell, permissions, queries, rules
from migrations_app.actions.locks import given, locked_app, locked_move, locked_replica, refuse
from migrations_app.errors import Blocker, InvalidInput
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.permissions import Verb
from migrations_app.states import Act, Kind, ReplicaState, Status
from migrations_app.transitions import change_replica_state, change_status, record


def abort(*, move_id: UUID | str, acting_user: User | None, reason: str) -> AppMigration:
    """Undo a move before its pivot. Takes the same row lock as the pivot, so exactly one of them wins."""
    move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.ABORT, move)
    return _do_or_ask(Act.ABORT, move, acting_user, given(reason, "an abort"))


def retry(*, move_id: UUID | str, acting_user: User | None, reason: str) -> AppMigration:
    """Let a held move go on where it stopped: forward, or undoing."""
    move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.RETRY, move)
    return _do_or_ask(Act.RETRY, move, acting_user, given(reason, "a retry"))


def teardown(*, move_id: UUID | str, acting_user: User | None, confirm: str, reason: str) -> SourceReplica:
    """Give the way back up and free the region the move left. Irreversible; `confirm` is the app's slug.

    The replica stays `retained` while a second person's consent is waited for.
    """
    move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.TEARDOWN, move)
    if confirm != move.app.slug:
        raise InvalidInput(
            f"confirm is {confirm!r}, which is not the app's name.",
            hint=f"Type {move.app.slug}.",
            code="not_confirmed",
        )
    _do_or_ask(Act.TEARDOWN, move, acting_user, given(reason, "a teardown"))
    return SourceReplica.objects.select_related("region", "app", "migration").get(migration=move)


def lock_for(act: Act, move: AppMigration) -> AppMigration:
    """The move, with the rows locked that the act changes."""
    if act == Act.TEARDOWN:
        locked_app(move.app)
        return queries.move(move.pk, viewer=None)
    return locked_move(move)


def forbids(act: Act, move: AppMigration) -> list[Blocker]:
    """What the rules say against the act, now that its rows are locked."""
    if act == Act.ABORT:
        return rules.forbids_abort(move)
    if act == Act.RETRY:
        return rules.forbids_retry(move)
    facts = move.app.move_facts(move.dest_region, Kind(move.kind))
    if act == Act.TEARDOWN:
        return rules.forbids_teardown(move, locked_replica(move), facts.active)
    return rules.forbids_start(move, facts)


def do(act: Act, move: AppMigration, *, verb: str, actor: User | None, reason: str) -> None:
    """Do it, with its one audit event, in the caller's transaction."""
    _DO[act](move, verb, actor, reason)


def _do_or_ask(act: Act, move: AppMigration, acting_user: User | None, reason: str) -> AppMigration:
    with transaction.atomic():
        move = lock_for(act, move)
        refuse(forbids(act, move))
        if approvals.is_needed(act):
            refuse(rules.forbids_asking_twice(approvals.open_of(move)))
            approvals.ask(
                move, act, requested_by=acting_user, reason=reason, subject=approvals.subject_of(move, act, [])
            )
            record(f"request_{act}", migration=move, actor=acting_user, reason=reason)
        else:
            do(act, move, verb=str(act), actor=acting_user, reason=reason)
    return move


def _start(move: AppMigration, verb: str, actor: User | None, reason: str) -> None:
    change_status(move, Status.QUEUED, verb=verb, actor=actor, reason=reason)
    bell.ring_on_commit(bell.RUN_MOVE, move.pk, move.dest_region.slug)


def _abort(move: AppMigration, verb: str, actor: User | None, reason: str) -> None:
    if move.status in (Status.AWAITING_APPROVAL, Status.QUEUED):  # nothing has begun
        change_status(move, Status.ABORTED, verb=verb, actor=actor, reason=reason)
        return
    change_status(move, Status.ABORTING, verb=verb, actor=actor, reason=reason, ends_as=Status.ABORTED, due_at=Now())
    bell.ring_on_commit(bell.RUN_MOVE, move.pk, move.dest_region.slug)


def _retry(move: AppMigration, verb: str, actor: User | None, reason: str) -> None:
    change_status(
        move,
        Status.ABORTING if move.ends_as else Status.RUNNING,
        verb=verb,
        actor=actor,
        reason=reason,
        retry_count=0,
        worker_deaths=0,
        last_error="",
        last_error_code="",
        due_at=Now(),
    )
    bell.ring_on_commit(bell.RUN_MOVE, move.pk, move.dest_region.slug)


def _tear_down(move: AppMigration, verb: str, actor: User | None, reason: str) -> None:
    change_replica_state(
        move, ReplicaState.TEARING_DOWN, verb=verb, actor=actor, reason=reason, due_at=Now(), last_error=""
    )
    replica = SourceReplica.objects.select_related("region").get(migration=move)
    bell.ring_on_commit(bell.RUN_TEARDOWN, replica.pk, replica.region.slug)


_DO: dict[Act, Callable[[AppMigration, str, User | None, str], None]] = {
    Act.MOVE: _start,
    Act.REVERSE: _start,
    Act.ABORT: _abort,
    Act.RETRY: _retry,
    Act.TEARDOWN: _tear_down,
}

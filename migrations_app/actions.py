"""The only writers of human intent. Each: one transaction, the rule asked under a row lock, its audit event inside,
the bell on commit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from migrations_app import bell, queries, rules
from migrations_app.errors import Blocker, InvalidInput, Refused
from migrations_app.models import App, AppMigration, SourceReplica
from migrations_app.registration import invalid
from migrations_app.states import ACTIVE, Kind, ReplicaState, Status, Strategy
from migrations_app.transitions import change_status, record


def request_move(
    *,
    app_slug: str,
    dest_slug: str,
    acting_user: User | None,
    strategy: str = Strategy.SNAPSHOT,
    reason: str = "",
    not_before: datetime | None = None,
) -> AppMigration:
    """Ask for a move. Raises NotFound, InvalidInput or Refused; nothing is written then."""
    if strategy not in (Strategy.SNAPSHOT,):
        raise InvalidInput(f"There is no strategy {strategy}.", hint="Use snapshot.", code="invalid_strategy")
    dest = queries.region(dest_slug)
    with _one_at_a_time(), transaction.atomic():
        app = _locked_app(queries.app(app_slug))
        _refuse(rules.forbids_move(app.move_facts(dest)))
        move = AppMigration.objects.create(
            app=app,
            strategy=strategy,
            source_region=app.region,
            dest_region=dest,
            requested_by=acting_user,
            reason=reason,
            not_before=not_before,
            due_at=not_before,
            status=Status.QUEUED,
        )
        record("request", migration=move, actor=acting_user, to_status=move.status, reason=reason)
        bell.ring_on_commit(bell.RUN_MOVE, move.pk, dest.slug)
    move.refresh_from_db()
    return move


def abort(*, move_id: UUID | str, acting_user: User | None, reason: str = "") -> AppMigration:
    """Undo a move before its pivot. Takes the same row lock as the pivot, so exactly one of them wins."""
    with transaction.atomic():
        move = _locked_move(queries.move(move_id))
        _refuse(rules.forbids_abort(move))
        begun = move.status not in (Status.AWAITING_APPROVAL, Status.QUEUED)
        change_status(
            move,
            Status.ABORTING if begun else Status.ABORTED,
            verb="abort",
            actor=acting_user,
            reason=reason,
            **({"ends_as": Status.ABORTED, "due_at": Now()} if begun else {}),
        )
        if begun:
            bell.ring_on_commit(bell.RUN_MOVE, move.pk, move.dest_region.slug)
    return move


def retry(*, move_id: UUID | str, acting_user: User | None, reason: str = "") -> AppMigration:
    """Let a held move go on where it stopped: forward, or undoing."""
    with transaction.atomic():
        move = _locked_move(queries.move(move_id))
        _refuse(rules.forbids_retry(move))
        change_status(
            move,
            Status.ABORTING if move.ends_as else Status.RUNNING,
            verb="retry",
            actor=acting_user,
            reason=reason,
            retry_count=0,
            worker_deaths=0,
            last_error="",
            last_error_code="",
            due_at=Now(),
        )
        bell.ring_on_commit(bell.RUN_MOVE, move.pk, move.dest_region.slug)
    return move


def reverse(*, move_id: UUID | str, acting_user: User | None, reason: str = "") -> AppMigration:
    """Bring the app back to the region a completed move took it from. Itself a move, of kind reverse."""
    with _one_at_a_time(), transaction.atomic():
        reversed_move = queries.move(move_id)
        app = _locked_app(reversed_move.app)
        dest = reversed_move.source_region
        replica = _locked_replica(reversed_move)
        _refuse(rules.forbids_reverse(reversed_move, replica, app.move_facts(dest, Kind.REVERSE)))
        move = AppMigration.objects.create(
            app=app,
            kind=Kind.REVERSE,
            strategy=Strategy.REVERSE,
            source_region=app.region,
            dest_region=dest,
            reverses=reversed_move,
            requested_by=acting_user,
            reason=reason,
            status=Status.QUEUED,
        )
        record("reverse", migration=move, actor=acting_user, to_status=move.status, reason=reason)
        bell.ring_on_commit(bell.RUN_MOVE, move.pk, dest.slug)
    move.refresh_from_db()
    return move


def teardown(*, move_id: UUID | str, acting_user: User | None, confirm: str) -> SourceReplica:
    """Give the way back up and free the region the move left. Irreversible; `confirm` is the app's slug."""
    with transaction.atomic():
        move = queries.move(move_id)
        if confirm != move.app.slug:
            raise InvalidInput(
                f"confirm is {confirm!r}, which is not the app's name.",
                hint=f"Type {move.app.slug}.",
                code="not_confirmed",
            )
        app = _locked_app(move.app)
        replica = _locked_replica(move)
        active = app.migrations.filter(status__in=ACTIVE).first()
        _refuse(rules.forbids_teardown(move, replica, active))
        changed = SourceReplica.objects.filter(migration=move, state=ReplicaState.RETAINED).update(
            state=ReplicaState.TEARING_DOWN, due_at=Now(), last_error=""
        )
        if changed != 1:
            raise Refused([Blocker("changed_meanwhile", "The replica changed meanwhile.", "Look again, then decide.")])
        record(
            "teardown",
            migration=move,
            actor=acting_user,
            from_status=ReplicaState.RETAINED,
            to_status=ReplicaState.TEARING_DOWN,
        )
        replica = SourceReplica.objects.select_related("region").get(migration=move)
        bell.ring_on_commit(bell.RUN_TEARDOWN, replica.pk, replica.region.slug)
    return replica


def put_on_the_books(*, app: App, acting_user: User | None) -> App:
    """Register an existing app, as registration.discover() found it. Raises InvalidInput naming the field."""
    there = App.objects.filter(Q(slug=app.slug) | Q(region=app.region, database=app.database)).first()
    if there:
        raise InvalidInput(
            f"{there.region}'s database {there.database} is on the books already, as app {there}.",
            hint="Give another name and another database.",
            code="already_registered",
        )
    try:
        app.full_clean()
    except ValidationError as error:
        raise invalid(error) from error
    with transaction.atomic():
        app.save()
        record("register", app=app, actor=acting_user)
    return app


def owner_team(name: str) -> Group:
    """The team of that name; made if it is new."""
    group, _ = Group.objects.get_or_create(name=name)
    return group


def _refuse(blockers: list[Blocker]) -> None:
    if blockers:
        raise Refused(blockers)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """What the constraint on active moves says, in the rule's words: a race got past the rule."""
    try:
        yield
    except IntegrityError as error:
        raise Refused(
            [Blocker("move_active", "Another move of this app was requested at the same moment.", "Look at that one.")]
        ) from error


def _locked_app(app: App) -> App:
    return App.objects.select_for_update(of=("self",)).select_related("region").get(pk=app.pk)


def _locked_move(move: AppMigration) -> AppMigration:
    return (
        AppMigration.objects.select_for_update(of=("self",))
        .select_related("app", "source_region", "dest_region")
        .get(pk=move.pk)
    )


def _locked_replica(move: AppMigration) -> SourceReplica | None:
    return SourceReplica.objects.select_for_update(of=("self",)).filter(migration=move).first()

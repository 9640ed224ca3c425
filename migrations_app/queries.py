"""What every surface reads."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db.models import Case, Count, Max, Min, Q, QuerySet, When, Window

from migrations_app import approvals
from migrations_app.errors import InvalidInput, NotFound
from migrations_app.models import App, AppMigration, Approval, AuditEvent, Region, SourceReplica, StepRun
from migrations_app.models.app_migration import LONG_FIELDS
from migrations_app.models.names import SLUG
from migrations_app.models.selecting import one_of, select
from migrations_app.permissions import IN_SIGHT, in_sight, seen_by, visible_apps
from migrations_app.states import (
    ACTIVE,
    REPLICA_OPEN,
    TERMINAL,
    WORKED,
    Act,
    ApprovalState,
    Kind,
    ReplicaState,
    Status,
    Strategy,
)


def region(slug: str) -> Region:
    found = Region.objects.filter(slug=slug).first()
    if found is None:
        known = ", ".join(Region.objects.values_list("slug", flat=True)) or "none yet; add them in the admin"
        raise InvalidInput(f"There is no region {slug}.", hint=f"Regions: {known}.", code="invalid_region")
    return found


AUTO = "auto"
"""Asked for as a strategy: live where preflight allows it, else snapshot."""


def strategy(name: str) -> str:
    """A strategy people may ask for."""
    if name not in (Strategy.SNAPSHOT, Strategy.LIVE, AUTO):
        raise InvalidInput(f"There is no strategy {name}.", hint="Use snapshot, live or auto.", code="invalid_strategy")
    return name


def app(slug: str, *, viewer: User | None) -> App:
    """NotFound also for the apps of teams the viewer does not belong to; so with all that take a viewer. What
    no app can be called is none."""
    apps = visible_apps(viewer).select_related("region", "owner")
    found = apps.filter(slug=slug).first() if re.fullmatch(SLUG, slug) else None
    if found is None:
        raise NotFound(
            f"There is no app {slug}.",
            hint="Check its name; register_app puts a new one on the books.",
            code="unknown_app",
        )
    return found


_MOVE = f"""
FROM migrations_app_appmigration AS move
JOIN migrations_app_app AS app ON app.id = move.app_id
LEFT JOIN migrations_app_sourcereplica AS replica ON replica.migration_id = move.id
LEFT JOIN auth_user AS person ON person.id = move.requested_by_id
WHERE move.id = %(move)s AND {IN_SIGHT}
"""


def move(move_id: UUID | str, *, viewer: User | None) -> AppMigration:
    """With its app, its replica, their regions, and who asked for it."""
    try:
        key = AppMigration._meta.get_field("id").to_python(move_id)
    except ValidationError:
        raise no_such_move(move_id) from None
    params = {"move": key, "viewer": seen_by(viewer)}
    rows = select(_MOVE, params, move=AppMigration, app=App, replica=SourceReplica, person=User)
    if not rows:
        raise no_such_move(move_id)
    [(found, found.app, replica, found.requested_by)] = rows
    # As joins, its three regions would take the planner longer than all the rest of a page's questions.
    regions = {region.pk: region for region in give_regions([found])}
    found.app.region = regions[found.app.region_id]
    give_replica(found, replica)
    return found


def give_replica(found: AppMigration, replica: SourceReplica | None) -> None:
    """The one that the move left. That it left none is known as well: nobody asks the database again."""
    AppMigration.source_replica.related.set_cached_value(found, replica)
    if replica is not None:
        replica.migration, replica.app, replica.region = found, found.app, found.source_region


def no_such_move(move_id: UUID | str) -> NotFound:
    return NotFound(
        f"There is no move {move_id}.", hint="The app's status tells the ids of its moves.", code="unknown_migration"
    )


def active_move(slug: str, *, viewer: User | None) -> AppMigration | None:
    return (
        AppMigration.objects.filter(app=app(slug, viewer=viewer), status__in=ACTIVE)
        .select_related("app", "source_region", "dest_region", "source_replica")
        .first()
    )


def moves(
    *, viewer: User | None, app: str | None, region: str | None, status: Status | None, kind: Kind | None
) -> QuerySet[AppMigration]:
    """The moves in sight that are like that; None: whichever. `region`: at either end."""
    rows = in_sight(AppMigration.objects.all(), viewer)
    if app is not None:
        rows = rows.filter(app__slug=app)
    if region is not None:
        rows = rows.filter(Q(source_region__slug=region) | Q(dest_region__slug=region))
    if status is not None:
        rows = rows.filter(status=status)
    if kind is not None:
        rows = rows.filter(kind=kind)
    return rows


_ACTIVE = f"""
FROM migrations_app_appmigration AS move
JOIN migrations_app_app AS app ON app.id = move.app_id
LEFT JOIN LATERAL (
    SELECT * FROM migrations_app_steprun AS run
    WHERE run.migration_id = move.id AND run.ended_at IS NULL ORDER BY run.id DESC LIMIT 1
) AS run ON true
WHERE move.status {one_of(ACTIVE)} AND {IN_SIGHT} ORDER BY move.initiated_at
"""  # noqa: S608
_OF_ACTIVE = (
    *("id", "app_id", "kind", "strategy", "status", "current_step", "ends_as", "reverses_id"),
    *("source_region_id", "dest_region_id", "initiated_at", "not_before", "pivot_at", "estimate"),
    *("writes_blocked_at", "writes_unblocked_at", "step_started_at"),
    *("retry_count", "next_try_at", "last_error"),
)
_OF_RUN = tuple(field.attname for field in StepRun._meta.concrete_fields if field.name != "acts")


def active_moves(*, viewer: User | None) -> list[AppMigration]:
    """Every move that is not over, the longest under way first, with what tells where it stands. They lack their
    regions: give_regions()."""
    found = select(
        _ACTIVE,
        {"viewer": seen_by(viewer)},
        move=(AppMigration, _OF_ACTIVE),
        app=(App, ("id", "slug")),
        run=(StepRun, _OF_RUN),
    )
    for row, app, run in found:
        row.app, row.open_run = app, run
    return [row for row, *_ in found]


def open_run(row: AppMigration) -> StepRun | None:
    """The attempt that goes on, or waits; of a move from active_moves()."""
    run: StepRun | None = row.open_run  # type: ignore[attr-defined]
    return run


def stopped_at(held: Iterable[AppMigration]) -> dict[UUID, datetime]:
    """When the last try of each of the moves ended: since then it waits for somebody."""
    tries = StepRun.objects.filter(migration__in=held, ended_at__isnull=False).order_by()
    return dict(tries.values_list("migration").annotate(Max("ended_at")))


def open_approvals(*, viewer: User | None) -> list[Approval]:
    """What waits for a decision, the longest first, with what a list shows of it. Their moves lack their regions:
    give_regions()."""
    found = select(
        _WAITING,
        {"viewer": seen_by(viewer)},
        approval=(Approval, ("id", "act", "reason", "migration_id", "requested_by_id", "requested_at", "expires_at")),
        move=(AppMigration, ("id", "kind", "app_id", "source_region_id", "dest_region_id")),
        app=(App, ("id", "slug", "owner_id")),
        person=(User, ("id", "username")),
    )
    for approval, row, row.app, approval.requested_by in found:
        approval.migration = row
    return [approval for approval, *_ in found]


_WAITING = f"""
FROM migrations_app_approval AS approval
JOIN migrations_app_appmigration AS move ON move.id = approval.migration_id
JOIN migrations_app_app AS app ON app.id = move.app_id
LEFT JOIN auth_user AS person ON person.id = approval.requested_by_id
WHERE approval.state = '{ApprovalState.OPEN}' AND {IN_SIGHT} ORDER BY approval.requested_at
"""


def every_region() -> list[Region]:
    """By name."""
    return [region for (region,) in select("FROM migrations_app_region AS region ORDER BY slug", {}, region=Region)]


def give_regions(moves: Iterable[AppMigration], known: Iterable[Region] | None = None) -> list[Region]:
    """Every region, those that are `known` or read now; the moves share them, in the place of a copy for each end of
    each."""
    regions = {region.pk: region for region in (every_region() if known is None else known)}
    for row in moves:
        row.source_region, row.dest_region = regions[row.source_region_id], regions[row.dest_region_id]
    return list(regions.values())


def apps_by_region(*, viewer: User | None) -> dict[int, int]:
    """How many of the apps that the viewer sees live where, by the region's key."""
    counted = visible_apps(viewer).order_by().values_list("region").annotate(Count("pk"))
    return dict(counted)


def latest_move(slug: str, *, viewer: User | None) -> AppMigration:
    found = AppMigration.objects.filter(app=app(slug, viewer=viewer)).order_by("-initiated_at").first()
    if found is None:
        raise NotFound(f"{slug} has never been moved.", hint="Ask for a move with move_app.", code="unknown_migration")
    return move(found.pk, viewer=viewer)


def replicas_in_use(*, viewer: User | None) -> list[SourceReplica]:
    return list(
        in_sight(SourceReplica.objects.all(), viewer)
        .filter(state__in=REPLICA_OPEN)
        .defer("history", *(f"migration__{name}" for name in LONG_FIELDS))
        .select_related("app", "region", "migration__source_region", "migration__dest_region")
    )


def ways_back(*, viewer: User | None, now: datetime, most: int) -> tuple[list[SourceReplica], int]:
    """The first of the replicas in use, those that somebody has to look at before all others; and how many in all."""
    to_look_at = Q(state=ReplicaState.RETAINED) & (~Q(problem="") | Q(review_at__lte=now))
    found: list[Any] = list(
        in_sight(SourceReplica.objects.all(), viewer)
        .filter(state__in=REPLICA_OPEN)
        .annotate(turn=Case(When(to_look_at, then=0), default=1), in_all=Window(Count("pk")))
        .defer("history", "acts")
        .select_related("app", "region")
        .order_by("turn", "-created_at")[:most]
    )
    return found, found[0].in_all if found else 0


def teardown_state(row: AppMigration) -> str | None:
    """How far the teardown of the move's replica is: awaiting_approval, tearing_down or torn_down; None: nobody wants
    it."""
    replica = getattr(row, "source_replica", None)
    if replica is not None and replica.state in (ReplicaState.TEARING_DOWN, ReplicaState.TORN_DOWN):
        return str(replica.state)
    waiting = approvals.open_of(row)
    return str(Status.AWAITING_APPROVAL) if waiting and waiting.act == Act.TEARDOWN else None


def blocked_by_reverses(source: Region, dest: Region) -> list[float]:
    """For how many seconds each of the last ten reverses between the regions blocked writes."""
    done = AppMigration.objects.filter(
        source_region=source, dest_region=dest, status=Status.COMPLETED, kind=Kind.REVERSE
    ).order_by("-completed_at")
    rows = done.only("writes_blocked_at", "writes_unblocked_at")[:10]
    return [row.blocked_seconds for row in rows if row.blocked_seconds is not None]


def next_try(row: AppMigration) -> str:
    """A sentence about a step that failed and waits to be tried again; empty when none does."""
    if row.next_try_at is None or row.status not in WORKED:
        return ""
    return (
        f"It has failed {row.retry_count} of {settings.MOVES_STEP_TRIES} times and is tried again at "
        f"{row.next_try_at:%H:%M:%S} UTC."
    )


def waits_for_approval(row: AppMigration) -> bool:
    """Something about the move or its replica waits for a second person."""
    return approvals.open_of(row) is not None


def approvals_of(row: AppMigration) -> list[Approval]:
    """Every request for consent about the move or its replica, the oldest first."""
    found = select(_APPROVALS, {"move": row.pk}, approval=Approval, asked=User, decided=User)
    for approval, asked_by, decided_by in found:
        approval.migration, approval.requested_by, approval.decided_by = row, asked_by, decided_by
    return [approval for approval, _, _ in found]


_APPROVALS = """
FROM migrations_app_approval AS approval
LEFT JOIN auth_user AS asked ON asked.id = approval.requested_by_id
LEFT JOIN auth_user AS decided ON decided.id = approval.decided_by_id
WHERE approval.migration_id = %(move)s ORDER BY approval.id
"""


def step_runs(row: AppMigration) -> list[StepRun]:
    """Every attempt at a step and every undoing, the oldest first."""
    runs = "FROM migrations_app_steprun AS run WHERE run.migration_id = %(move)s ORDER BY run.id"
    return [run for (run,) in select(runs, {"move": row.pk}, run=StepRun)]


def events(row: AppMigration) -> list[AuditEvent]:
    """What the audit trail says about the move, the oldest first."""
    trail = "FROM migrations_app_auditevent AS event WHERE event.migration_id = %(move)s ORDER BY event.id"
    return [event for (event,) in select(trail, {"move": row.pk}, event=AuditEvent)]


COMMENT = "comment"
"""The verb of a comment's event on the audit trail."""


@dataclass(frozen=True)
class Comment:
    """What somebody said about a move; `text` is as they wrote it, with line breaks."""

    who: str
    at: datetime
    text: str


def comments(row: AppMigration) -> list[Comment]:
    """The oldest first."""
    said = row.audit_events.filter(verb=COMMENT).order_by("id").values_list("actor_name", "at", "reason")
    return [Comment(*of) for of in said]


def last_rehearsal(row: AppMigration) -> AppMigration | None:
    """The app's own last one between the same regions that came to an end, whichever. With `began_at`, None if it never
    began."""
    return (
        AppMigration.objects.filter(
            app_id=row.app_id,
            kind=Kind.REHEARSAL,
            source_region=row.source_region,
            dest_region=row.dest_region,
            status__in=TERMINAL,
        )
        .exclude(pk=row.pk)
        .order_by("-completed_at")
        .annotate(began_at=Min("step_runs__started_at"))
        .first()
    )

"""Moves: asking for one, and looking at them."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.http import HttpResponse
from ninja import Router
from ninja.responses import Status as Answered
from pydantic import Field

from migrations_app import actions, permissions, preview, published, queries
from migrations_app.api import shapes
from migrations_app.api.gate import LOOK_AGAIN_SECONDS, Request, acting
from migrations_app.api.lookup import move_of, open_region
from migrations_app.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from migrations_app.models import AppMigration
from migrations_app.models.app_migration import LONG_FIELDS
from migrations_app.models.names import SLUG
from migrations_app.permissions import Verb
from migrations_app.states import TERMINAL, Kind, Status

router = Router(tags=["Moves"])

Slug = Annotated[str, Field(pattern=SLUG)]


@router.post("/apps/{slug:app_id}/move", response={202: shapes.Begun})
def move_app(request: Request, app_id: str, wanted: shapes.WantedMove) -> Answered[dict[str, Any]]:
    """Ask for a move to another region. It waits for approval, or is queued where policy asks for nobody else."""
    user = acting(request, Verb.REQUEST)
    app = queries.app(app_id, viewer=user)
    permissions.require(user, Verb.REQUEST, app)
    dest = open_region(wanted.dest_region)
    move = actions.request_move(
        app_slug=app.slug,
        dest_slug=dest.slug,
        strategy=wanted.strategy,
        reason=wanted.reason,
        not_before=wanted.not_before,
        acting_user=user,
    )
    return Answered(202, {"migration_id": move.pk, "status": move.status})


@router.post("/apps/{slug:app_id}/move/preview", response=shapes.Preview)
def preview_move(request: Request, app_id: str, wanted: shapes.WantedMove) -> dict[str, Any]:
    """Look at a move without asking for it: its plan, how long it may take, and preflight. Changes nothing; takes some
    seconds."""
    user = acting(request, Verb.REQUEST)
    app = queries.app(app_id, viewer=user)
    permissions.require(user, Verb.REQUEST, app)
    dest = open_region(wanted.dest_region)
    return preview.preview(app_slug=app.slug, dest_slug=dest.slug, strategy=wanted.strategy, acting_user=user)


@router.get("/migrations", response=shapes.Migrations)
def list_migrations(
    request: Request,
    app: Slug | None = None,
    region: Slug | None = None,
    status: Status | None = None,
    kind: Kind | None = None,
    cursor: Cursor = "",
    limit: Limit = DEFAULT_LIMIT,
) -> dict[str, Any]:
    """The moves of all apps that the caller sees, the newest first. `region` is at either end."""
    rows = queries.moves(viewer=acting(request, Verb.VIEW), app=app, region=region, status=status, kind=kind)
    related = ("app", "source_region", "dest_region", "source_replica")
    lean = rows.select_related(*related).defer(*LONG_FIELDS, "source_replica__history", "source_replica__acts")
    found, following = page(lean, ["-initiated_at", "-id"], cursor=cursor, limit=limit)
    return {"migrations": [published.outline_of(row) for row in found], "next": following}


@router.get("/apps/{slug:app_id}/migrations/active", response=shapes.Active)
def get_active(request: Request, response: HttpResponse, app_id: str) -> dict[str, Any]:
    """The app's move under way, or null."""
    move = queries.active_move(app_id, viewer=acting(request, Verb.VIEW))
    return {"migration": _described(move, response) if move else None}


@router.get("/apps/{slug:app_id}/migrations/{uuid:migration_id}", response=shapes.Migration)
def get_migration(request: Request, response: HttpResponse, app_id: str, migration_id: UUID) -> dict[str, Any]:
    """Where a move stands."""
    return _described(move_of(app_id, migration_id, acting(request, Verb.VIEW)), response)


@router.get("/apps/{slug:app_id}/migrations/{uuid:migration_id}/steps", response=shapes.Steps)
def get_steps(request: Request, app_id: str, migration_id: UUID) -> dict[str, Any]:
    """The eleven steps in the order of the move's plan, each with its latest attempt and its log."""
    return {"steps": published.steps_of(move_of(app_id, migration_id, acting(request, Verb.VIEW)))}


@router.get("/apps/{slug:app_id}/migrations/{uuid:migration_id}/preflight", response=shapes.Preflight)
def get_preflight(request: Request, app_id: str, migration_id: UUID) -> dict[str, Any]:
    """What preflight found when it last ran for the move."""
    return {"preflight": move_of(app_id, migration_id, acting(request, Verb.VIEW)).preflight}


@router.get("/apps/{slug:app_id}/migrations/{uuid:migration_id}/verification", response=shapes.Verification)
def get_verification(request: Request, app_id: str, migration_id: UUID) -> dict[str, Any]:
    """The comparison of both sides before the point of no return."""
    return {"verification": move_of(app_id, migration_id, acting(request, Verb.VIEW)).verification}


@router.get("/apps/{slug:app_id}/migrations/{uuid:migration_id}/approvals", response=shapes.Approvals)
def get_approvals(request: Request, app_id: str, migration_id: UUID) -> dict[str, Any]:
    """Every request for a second person's consent about the move, the oldest first."""
    move = move_of(app_id, migration_id, acting(request, Verb.VIEW))
    return {"approvals": [published.describe_approval(approval) for approval in queries.approvals_of(move)]}


def _described(move: AppMigration, response: HttpResponse) -> dict[str, Any]:
    if move.status not in TERMINAL:
        response.headers["Retry-After"] = str(LOOK_AGAIN_SECONDS)
    return published.describe_move(move)

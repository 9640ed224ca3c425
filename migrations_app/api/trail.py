"""The audit trail, of what the caller sees."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from django.db.models import QuerySet
from ninja import Router
from pydantic import Field

from migrations_app import audit
from migrations_app.api import shapes
from migrations_app.api.gate import Request, acting
from migrations_app.api.lookup import move_of
from migrations_app.api.moves import Slug
from migrations_app.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from migrations_app.models import AuditEvent
from migrations_app.permissions import Verb, in_sight

router = Router(tags=["Audit trail"])

Word = Annotated[str, Field(pattern=r"^[a-z_]{1,40}$")]


@router.get("/audit", response=shapes.Events)
def list_events(
    request: Request,
    app: Slug | None = None,
    verb: Word | None = None,
    cursor: Cursor = "",
    limit: Limit = DEFAULT_LIMIT,
) -> dict[str, Any]:
    """The events about apps that the caller sees, the newest first; of no app, for who sees every team."""
    rows = in_sight(AuditEvent.objects.all(), acting(request, Verb.VIEW))
    if app:
        rows = rows.filter(app__slug=app)
    if verb:
        rows = rows.filter(verb=verb)
    return _events(rows, cursor, limit)


@router.get("/apps/{slug:app_id}/migrations/{uuid:migration_id}/audit", response=shapes.Events)
def list_events_of_move(
    request: Request,
    app_id: str,
    migration_id: UUID,
    cursor: Cursor = "",
    limit: Limit = DEFAULT_LIMIT,
) -> dict[str, Any]:
    """The move's events, the newest first."""
    move = move_of(app_id, migration_id, acting(request, Verb.VIEW))
    return _events(AuditEvent.objects.filter(migration=move), cursor, limit)


def _events(rows: QuerySet[AuditEvent], cursor: str, limit: int) -> dict[str, Any]:
    found, following = page(rows, ["-id"], cursor=cursor, limit=limit)
    return {"events": [audit.fields_of(event) for event in found], "next": following}

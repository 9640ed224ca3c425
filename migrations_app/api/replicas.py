"""Source replicas: the copies that moves left behind."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from ninja import Router
from ninja.responses import Status as Answered

from migrations_app import actions, permissions, published, queries
from migrations_app.api import shapes
from migrations_app.api.gate import Request, acting
from migrations_app.permissions import Verb
from migrations_app.states import ReplicaState

router = Router(tags=["Source replicas"])


@router.get("/source-replicas", response=shapes.Replicas)
def list_source_replicas(request: Request) -> dict[str, Any]:
    """The replicas that are kept, or being torn down, of all apps that the caller sees."""
    replicas = queries.replicas_in_use(viewer=acting(request, Verb.VIEW))
    return {"source_replicas": [published.describe_replica(replica) for replica in replicas]}


@router.delete("/source-replicas/{uuid:migration_id}", response={200: shapes.TornDown, 202: shapes.TearingDown})
def teardown_source_replica(request: Request, migration_id: UUID) -> Answered[dict[str, str]]:
    """Give the way back up and free the region the move left. Irreversible. Asked again, it says how far that is."""
    user = acting(request, Verb.TEARDOWN)
    move = queries.move(migration_id, viewer=user)
    permissions.require(user, Verb.TEARDOWN, move)
    state = queries.teardown_state(move)
    if state is None:
        actions.teardown(move_id=move.pk, confirm=move.app.slug, reason=shapes.NO_REASON, acting_user=user)
        state = queries.teardown_state(queries.move(migration_id, viewer=user))
    return Answered(200 if state == ReplicaState.TORN_DOWN else 202, {"status": str(state)})

"""What the tools take and answer, as types: their JSON schemas are made of these. The answers are the HTTP API's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Any, Literal, TypedDict

import msgspec
from msgspec import Meta

from migrations_app.states import Kind, ReplicaState, Status, Step, Strategy


def _one_of(words: Iterable[str], description: str = "") -> Meta:
    return Meta(description=description or None, extra_json_schema={"enum": list(words)})


AppId = Annotated[str, Meta(description="The app's short name, such as shop.")]
MigrationId = Annotated[
    str,
    Meta(
        description="The move's id, a UUID, as move_app or get_active answers it.", extra_json_schema={"format": "uuid"}
    ),
]


# -- What the tools take -----------------------------------------------------------------------------------------------


class MoveApp(msgspec.Struct, frozen=True):
    app_id: AppId
    dest_region: Annotated[str, Meta(description="Where the app is to live: one of those that list_regions answers.")]


class MoveAppStatus(msgspec.Struct, frozen=True):
    app_id: AppId
    migration_id: MigrationId


class ManageMigrations(msgspec.Struct, frozen=True):
    action: Annotated[
        Literal["get_active", "abort", "reverse", "list_source_replicas"],
        Meta(description="What to do; see the tool's description.", extra_json_schema={"type": "string"}),
    ]
    app_id: Annotated[
        str | None,
        Meta(
            description="The app's short name. get_active needs it; list_source_replicas then answers that app's alone."
        ),
    ] = None
    migration_id: Annotated[str | None, Meta(description="The move's id, a UUID. abort and reverse need it.")] = None


class TeardownSourceReplica(msgspec.Struct, frozen=True):
    migration_id: Annotated[str, Meta(description="The id of the move that left the replica, a UUID.")]


# -- What they answer --------------------------------------------------------------------------------------------------


class Regions(TypedDict):
    regions: list[str]


class Progress(TypedDict):
    steps_done: int
    steps_total: int
    current: Annotated[float | None, Meta(description="How much of the current step is done, 0 to 1; null: unknown.")]
    details: Annotated[dict[str, Any] | None, Meta(description="Of the current step: bytes, rows, rate, seconds left.")]


class Migration(TypedDict):
    migration_id: str
    app_id: str
    kind: Annotated[str, _one_of(Kind.values)]
    strategy: Annotated[str, _one_of(Strategy.values)]
    status: Annotated[str, _one_of(Status.values, "It is over when completed, aborted or failed.")]
    current_step: Annotated[str, _one_of(Step.values)]
    step_started_at: datetime | None
    progress: Progress
    retry_count: int
    last_error: str | None
    source_region: str
    dest_region: str
    source_replica_state: Annotated[
        Annotated[str, _one_of(ReplicaState.values)] | None,
        Meta(description="Of the copy left in source_region. retained: the move can be reversed. null: there is none."),
    ]
    initiated_at: datetime
    completed_at: datetime | None


class Moved(TypedDict):
    migration_id: str
    status: Annotated[str, _one_of(Status.values)]


class Active(TypedDict):
    migration: Annotated[Migration | None, Meta(description="null: no move of the app is under way.")]


class Reversed(TypedDict):
    migrationId: str
    migration_id: Annotated[str, Meta(description="Of the move that brings the app back: follow that one.")]
    path: str


class Replica(TypedDict):
    migration_id: Annotated[str, Meta(description="Of the move that left it: reverse or tear down by this id.")]
    app_id: str
    source_region: Annotated[str, Meta(description="Where the replica is.")]
    dest_region: Annotated[str, Meta(description="Where the app lives.")]
    completed_at: datetime | None
    state: Annotated[str, _one_of(ReplicaState.values)]
    size_bytes: int
    estimated_monthly_cost_usd: float


class Replicas(TypedDict):
    source_replicas: list[Replica]


class TornDown(TypedDict):
    status: Annotated[
        str,
        _one_of(
            [ReplicaState.TORN_DOWN, ReplicaState.TEARING_DOWN, Status.AWAITING_APPROVAL],
            "tearing_down: under way. awaiting_approval: nothing happens until another person approves it.",
        ),
    ]


def any_of(*types: type) -> dict[str, Any]:
    """The JSON schema of an object of any of the types."""
    schemas, definitions = msgspec.json.schema_components(types, ref_template="#/$defs/{name}")
    return {"type": "object", "anyOf": list(schemas), "$defs": definitions}

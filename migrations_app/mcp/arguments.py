"""What the tools take: their JSON schemas are made of these types. What they answer is in api/shapes.py."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

AppId = Annotated[str, Meta(description="The app's short name, such as shop.")]
MigrationId = Annotated[str, Meta(description="The move's id, a UUID, as move_app or get_active answers it.")]


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

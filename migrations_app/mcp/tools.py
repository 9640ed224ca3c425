"""The five tools. Each calls an action or a query; its description is all that an assistant knows of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import TypeAdapter

from migrations_app import actions, published, queries
from migrations_app.api import shapes
from migrations_app.api.lookup import move_of, open_region
from migrations_app.errors import InvalidInput
from migrations_app.mcp.arguments import ManageMigrations, MoveApp, MoveAppStatus, TeardownSourceReplica
from migrations_app.mcp.server import Answer, server, tool
from migrations_app.models import AppMigration, Region
from migrations_app.permissions import Verb
from migrations_app.states import Act
from migrations_app.tokens import Caller

__all__ = ["server"]


def _schema(answers: Any) -> dict[str, Any]:
    """The JSON schema of an answer, or of any of several."""
    return {"type": "object", **TypeAdapter(answers).json_schema(mode="serialization")}


@tool(
    Verb.VIEW,
    title="List regions",
    description=(
        "The names of all regions, as move_app takes them for dest_region. A region may be closed to moves; move_app "
        "says so then."
    ),
    output_schema=_schema(shapes.Regions),
    read_only=True,
    destructive=False,
    idempotent=True,
)
def list_regions(caller: Caller) -> Answer:
    return {"regions": list(Region.objects.values_list("slug", flat=True))}


@tool(
    Verb.REQUEST,
    title="Move an app to another region",
    description=(
        "Ask for an app to be moved to another region: its database, blobs, processes and traffic. Make sure first "
        "that the user means this app and this region: the app refuses writes for a part of the move. Answers at once "
        "with migration_id and status; the move itself takes minutes, for a big app hours, and goes on by itself.\n"
        "status awaiting_approval: nothing happens until another person approves it in the portal. Tell the user so; "
        "no tool approves, and nobody approves what they asked for themselves. status queued: it begins by itself.\n"
        "Then look with move_app_status every ten seconds or more seldom. If a step fails before the point of no "
        "return, all is undone and the app goes on where it was. The old region keeps a copy that stays current, the "
        "source replica: it is the way back (manage_migrations, action reverse) until teardown_source_replica gives it "
        "up. Refused while another move of the app is under way; calling again once that is over asks for a new move."
    ),
    output_schema=_schema(shapes.Begun),
    read_only=False,
    destructive=True,
    idempotent=False,
)
def move_app(caller: Caller, params: MoveApp) -> Answer:
    app = queries.app(params.app_id, viewer=caller.user)
    dest = open_region(params.dest_region)
    move = actions.request_move(app_slug=app.slug, dest_slug=dest.slug, acting_user=caller.user, reason=_reason(caller))
    return {"migration_id": str(move.pk), "status": move.status}


@tool(
    Verb.VIEW,
    title="See where a move stands",
    description=(
        "Where a move of the app stands: status, current step, progress, last error, and what became of the replica it "
        "left. Changes nothing. Call it every ten seconds or more seldom until it is completed, aborted or failed.\n"
        "awaiting_approval: another person has to approve it in the portal. queued: it waits for its time or a free "
        "slot. running: it goes on by itself; last_error is then of a try that is made again. aborting: it is being "
        "undone. held: it stopped and waits for a person: tell the user last_error; somebody retries it in the portal, "
        "or takes the app back with manage_migrations (abort before the step flipping_routing is done, else reverse).\n"
        "source_replica_state retained: the move can be reversed."
    ),
    output_schema=_schema(shapes.Migration),
    read_only=True,
    destructive=False,
    idempotent=True,
)
def move_app_status(caller: Caller, params: MoveAppStatus) -> Answer:
    return published.describe_move(_move_of(params.app_id, params.migration_id, caller))


@tool(
    Verb.VIEW,
    title="Look after moves",
    description=(
        "get_active (app_id): the app's move under way, as move_app_status answers it, or null.\n"
        "list_source_replicas (app_id if only that app's): the replicas that completed moves left, each a way back, "
        "with size and monthly cost.\n"
        "abort (migration_id): undo a move before its point of no return, the step flipping_routing. The app goes on "
        "where it was. Answers at once; follow with move_app_status until aborted. With awaiting_approval in the "
        "answer nothing happens until another person approves the abort in the portal.\n"
        "reverse (migration_id of a completed move, or of one that is held past its point of no return): bring the app "
        "back to source_region with all that was written since. It is a move of its own, takes minutes and refuses "
        "writes for a part of that: follow the migration_id that it answers.\n"
        "Ask the user before abort and reverse."
    ),
    output_schema=_schema(shapes.Active | shapes.Replicas | shapes.Changed | shapes.Reversed),
    read_only=False,
    destructive=True,
    idempotent=False,
)
def manage_migrations(caller: Caller, params: ManageMigrations) -> Answer:
    return _ACTIONS[params.action](caller, params)


@tool(
    Verb.TEARDOWN,
    title="Tear a source replica down",
    description=(
        "Give the way back of a completed move up for good and free the region that the app left: the copy of its "
        "database, blobs and processes there is deleted. Nobody can undo that: the move cannot be reversed afterwards. "
        "The app itself goes on where it is. Let the user confirm app, region and move first.\n"
        "status awaiting_approval: nothing happens until another person approves it in the portal. tearing_down: under "
        "way; call again, or look at source_replica_state of move_app_status, until torn_down."
    ),
    output_schema=_schema(shapes.TornDown | shapes.TearingDown),
    read_only=False,
    destructive=True,
    idempotent=True,
)
def teardown_source_replica(caller: Caller, params: TeardownSourceReplica) -> Answer:
    move = queries.move(params.migration_id, viewer=caller.user)
    state = queries.teardown_state(move)
    if state is None:
        actions.teardown(move_id=move.pk, acting_user=caller.user, confirm=move.app.slug, reason=_reason(caller))
        state = queries.teardown_state(queries.move(move.pk, viewer=caller.user))
    return {"status": state}


def _get_active(caller: Caller, params: ManageMigrations) -> Answer:
    _refuse_migration_id(params)
    if not params.app_id:
        raise InvalidInput("app_id is missing.", hint="get_active needs it: whose move?")
    move = queries.active_move(queries.app(params.app_id, viewer=caller.user).slug, viewer=caller.user)
    return {"migration": published.describe_move(move) if move else None}


def _list_source_replicas(caller: Caller, params: ManageMigrations) -> Answer:
    _refuse_migration_id(params)
    replicas = queries.replicas_in_use(viewer=caller.user)
    if params.app_id:
        app = queries.app(params.app_id, viewer=caller.user)
        replicas = [replica for replica in replicas if replica.app_id == app.pk]
    return {"source_replicas": [published.describe_replica(replica) for replica in replicas]}


def _abort(caller: Caller, params: ManageMigrations) -> Answer:
    caller.require(Verb.ABORT)
    move = actions.abort(move_id=_named(params, caller), acting_user=caller.user, reason=_reason(caller))
    waiting = {"awaiting_approval": Act.ABORT} if queries.waits_for_approval(move) else {}
    return {"migration_id": str(move.pk), "status": move.status, **waiting}


def _reverse(caller: Caller, params: ManageMigrations) -> Answer:
    caller.require(Verb.REVERSE)
    back = actions.reverse(move_id=_named(params, caller), acting_user=caller.user, reason=_reason(caller))
    return {"migrationId": str(back.pk), "migration_id": str(back.pk), "path": "fast"}


_ACTIONS: dict[str, Callable[[Caller, ManageMigrations], Answer]] = {
    "get_active": _get_active,
    "list_source_replicas": _list_source_replicas,
    "abort": _abort,
    "reverse": _reverse,
}


def _named(params: ManageMigrations, caller: Caller) -> str:
    """The id of the move that is meant; an app that is given too has to be that move's."""
    if not params.migration_id:
        raise InvalidInput("migration_id is missing.", hint=f"{params.action} needs it: which move?")
    if params.app_id:
        _move_of(params.app_id, params.migration_id, caller)
    return params.migration_id


def _refuse_migration_id(params: ManageMigrations) -> None:
    if params.migration_id:
        raise InvalidInput(
            f"{params.action} takes no migration_id.", hint="Leave it out; move_app_status shows one move."
        )


def _move_of(app_id: str, migration_id: str, caller: Caller) -> AppMigration:
    return move_of(queries.app(app_id, viewer=caller.user).slug, migration_id, caller.user)


def _reason(caller: Caller) -> str:
    """The tools take none, and the portal's books want one."""
    return f"Asked for by MCP, with the token {caller.token.name} of {caller.user.get_username()}."

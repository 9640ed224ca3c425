"""Who may knock at /mcp, which tools they see, in whose name a tool acts, and how it says no."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import msgspec
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django_mcpz.server import MCPServer, ToolError
from psycopg import errors as postgres

from migrations_app import permissions, tokens
from migrations_app.errors import InvalidInput, PortalError, Refused, TransientError, Unauthorized
from migrations_app.mcp import refusals
from migrations_app.middleware import address_of
from migrations_app.origin import acting_from
from migrations_app.permissions import Verb
from migrations_app.tokens import Caller
from migrations_app.transitions import CHANGED_MEANWHILE

Answer = dict[str, Any]
Act = Callable[..., Answer]
"""Takes the Caller, and its arguments as a Struct if it has any."""


def _admit(request: HttpRequest) -> HttpResponse | None:
    """None, and `request.caller` is set, for who shows a good token; for others the answer."""
    try:
        request.caller = tokens.caller_of(request.headers.get("Authorization"), address_of(request))  # type: ignore[attr-defined]
    except Unauthorized as error:
        return JsonResponse(
            {"error": error.code, "reason": error.reason, "hint": error.hint},
            status=401,
            headers={"WWW-Authenticate": "Bearer"},
        )
    return None


server = MCPServer(
    name="region-moves",
    title="Region moves",
    version="1",
    instructions=(
        "Moves apps (database, blobs, processes, traffic) between regions, and back. A move takes minutes to hours and "
        "goes on by itself: start it with move_app, then look with move_app_status every ten seconds or more seldom "
        "until its status is completed, aborted or failed. While it is awaiting_approval nothing happens until another "
        "person approves it in the portal; no tool does that. Before the point of no return (flipping_routing) a move "
        "can be aborted, afterwards reversed, until the replica it left is torn down. A refusal says what to do next."
    ),
    auth=_admit,
)


def tool(verb: Verb, **about: Any) -> Callable[[Act], Act]:
    """Register one that acts as the caller: shown to, and called by, those alone whose token holds the verb and whose
    user has a right to it. `about` is MCPServer.tool()'s. It may raise any PortalError; the model is told what to do.
    """

    def permitted(request: HttpRequest) -> bool:
        caller = _caller(request)
        return caller.holds(verb) and permissions.can(caller.user, verb)

    def register(act: Act) -> Act:
        server.tool(permission=permitted, open_world=False, **about)(_as_caller(act))
        return act

    return register


def _as_caller(act: Act) -> Callable[..., Answer]:
    @wraps(act)
    def answer(request: HttpRequest, *params: msgspec.Struct) -> Answer:
        caller = _caller(request)
        given: dict[str, str | None] = msgspec.structs.asdict(params[0]) if params else {}
        with acting_from("mcp", f"{address_of(request)}, token {caller.token.name}"):
            try:
                _check(given)
                return act(caller, *params)
            except (PortalError, OperationalError, InterfaceError) as error:
                refusal = error if isinstance(error, PortalError) else _of_database(error)
                told = refusals.told(refusal, app_id=given.get("app_id"), migration_id=given.get("migration_id"))
                raise ToolError(told) from error

    return answer


def _of_database(error: OperationalError | InterfaceError) -> PortalError:
    if isinstance(error.__cause__, postgres.DeadlockDetected | postgres.SerializationFailure):
        return Refused([CHANGED_MEANWHILE])
    return TransientError("The portal's database does not answer.", code="portal_database_away")


def _caller(request: HttpRequest) -> Caller:
    caller: Caller = request.caller  # type: ignore[attr-defined]
    return caller


def _check(given: dict[str, str | None]) -> None:
    for name, value in given.items():
        if value and "\0" in value:  # the database takes none
            raise InvalidInput(f"{name} has a NUL character.", hint="Leave it out.")

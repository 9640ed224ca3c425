"""Who may knock at /mcp, which tools they see, in whose name a tool acts, and how it says no."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, cast

import msgspec
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django_mcpz.jsonrpc import PARSE_ERROR, error_response
from django_mcpz.server import MCPServer, ToolError

from migrations_app import permissions
from migrations_app.api import answers, gate
from migrations_app.errors import PortalError
from migrations_app.mcp import refusals
from migrations_app.origin import acting_from
from migrations_app.permissions import Verb
from migrations_app.transitions import explained

Answer = dict[str, Any]
Act = Callable[..., Answer]
"""Takes the tokens.Caller, and its arguments as a Struct if it has any."""


class _Server(MCPServer):
    """What goes wrong before any tool is answered as the API answers it."""

    def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            return super().__call__(request)
        except PortalError as error:
            return answers.of_portal(request, error)
        except (OperationalError, InterfaceError) as error:
            return answers.of_database(request, error)
        except RecursionError:  # brackets in brackets: the library's decoder lets it through
            return error_response(None, PARSE_ERROR, "The message is nested too deeply.", status=HTTPStatus.BAD_REQUEST)


server = _Server(
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
    auth=lambda request: gate.admit(cast(gate.Request, request)),
)


def tool(verb: Verb, **about: Any) -> Callable[[Act], Act]:
    """Register one that acts as the caller: shown to, and called by, those alone whose token holds the verb and whose
    user has a right to it. `about` is MCPServer.tool()'s. It may raise any PortalError; the model is told what to do.
    """

    def permitted(request: HttpRequest) -> bool:
        caller = cast(gate.Request, request).caller
        return caller.holds(verb) and permissions.can(caller.user, verb)

    def register(act: Act) -> Act:
        server.tool(permission=permitted, open_world=False, **about)(_as_caller(act))
        return act

    return register


def _as_caller(act: Act) -> Callable[..., Answer]:
    @wraps(act)
    def answer(request: gate.Request, *params: msgspec.Struct) -> Answer:
        given: dict[str, str | None] = msgspec.structs.asdict(params[0]) if params else {}
        with acting_from("mcp", gate.whence(request)):
            try:
                return act(request.caller, *params)
            except (PortalError, OperationalError, InterfaceError) as error:
                refusal = error if isinstance(error, PortalError) else explained(error, hint="")
                told = refusals.told(refusal, app_id=given.get("app_id"), migration_id=given.get("migration_id"))
                raise ToolError(told) from error

    return answer

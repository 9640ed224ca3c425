"""The way of every call: who asks, how often, whether its address can be meant, whether it was asked before."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib.auth.models import User
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.utils.cache import set_response_etag
from django.utils.http import parse_etags
from ninja.operation import Operation
from ninja.params.models import QueryModel
from ninja.security import HttpBearer

from migrations_app import tokens
from migrations_app.api import answers, idempotency, rate
from migrations_app.errors import PortalError
from migrations_app.middleware import address_of
from migrations_app.origin import acting_from
from migrations_app.permissions import Verb

LOOK_AGAIN_SECONDS = 2
"""After a 202, and while a move goes on: its page asks as often."""

Run = Callable[..., HttpResponse]


class Request(HttpRequest):
    """A request that passed the gate."""

    caller: tokens.Caller


class Bearer(HttpBearer):
    """For the OpenAPI document; the gate has looked at the token already."""

    def __call__(self, request: HttpRequest) -> tokens.Caller | None:
        return getattr(request, "caller", None)

    def authenticate(self, request: HttpRequest, token: str) -> None:
        raise NotImplementedError


def acting(request: Request, verb: Verb) -> User:
    """Who does that. Forbidden where the token is not good for it; what its user may, actions and queries ask."""
    request.caller.require(verb)
    return request.caller.user


def admit(request: Request) -> HttpResponse | None:
    """Set `request.caller`; an answer for those who ask too often. Raises Unauthorized."""
    request.caller = tokens.caller_of(request.headers.get("Authorization"), address_of(request))
    wait = rate.seconds_to_wait(request.caller.token)
    if wait is None:
        return None
    return answers.error(
        429, "too_many_requests", "The token has used its minute up.", "Ask less often.", retry_after=wait
    )


def whence(request: Request) -> str:
    """What the audit trail says of where it came from."""
    return f"{address_of(request)}, token {request.caller.token.name}"


def gate(run: Run) -> Run:
    """A call behind the gate; `run` is the operation's own, which turns what goes wrong inside into answers."""
    operation: Operation = run.__self__  # type: ignore[attr-defined]
    parameters = _parameters(operation)

    @wraps(run)
    def let_in(request: Request, **path: Any) -> HttpResponse:
        try:
            refused = admit(request)
            if refused:
                return refused
            unknown = next((name for name in request.GET if name not in parameters), None)
            if unknown is not None:
                known = f"It takes {', '.join(sorted(parameters))}." if parameters else "It takes none."
                return answers.error(422, "unknown_parameter", f"{unknown[:40]}: there is no such parameter.", known)
            with acting_from("api", whence(request)):
                if request.method != "GET" and idempotency.HEADER in request.headers:
                    return _with_hint(idempotency.once(request, request.caller.token, lambda: run(request, **path)))
                return _tagged(request, _with_hint(run(request, **path)))
        except PortalError as error:
            return answers.of_portal(request, error)
        except (OperationalError, InterfaceError) as error:
            return answers.of_database(request, error)

    return let_in


def _parameters(operation: Operation) -> frozenset[str]:
    """Those of the address that the call takes."""
    models = [model for model in operation.models if issubclass(model, QueryModel)]
    return frozenset(name for model in models for name in model.__ninja_flatten_map__)


def _with_hint(answer: HttpResponse) -> HttpResponse:
    if answer.status_code == 202:
        answer.headers["Retry-After"] = str(LOOK_AGAIN_SECONDS)
    return answer


def _tagged(request: HttpRequest, answer: HttpResponse) -> HttpResponse:
    """What was read has an ETag, and is not sent to who has it."""
    if request.method != "GET" or answer.status_code != 200:
        return answer
    answer.headers["Cache-Control"] = "private, no-cache"
    set_response_etag(answer)
    etag = answer.headers["ETag"]
    known = {tag.removeprefix("W/") for tag in parse_etags(request.headers.get("If-None-Match", ""))}
    if not known & {etag, "*"}:
        return answer
    kept = {name: value for name, value in answer.headers.items() if name in ("ETag", "Cache-Control", "Retry-After")}
    return HttpResponseNotModified(headers=kept)

"""Errors as the API tells them: `{"error": code, "reason": sentence, "hint": what to do next}`, with the codes that
commands and pages have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from ninja.errors import HttpError, ValidationError

from migrations_app.errors import (
    Forbidden,
    InvalidInput,
    NotFound,
    PortalError,
    Refused,
    TransientError,
    Unauthorized,
)
from migrations_app.transitions import explained

_STATUS = {InvalidInput: 400, Unauthorized: 401, Forbidden: 403, NotFound: 404, Refused: 409, TransientError: 503}

AWAY_SECONDS = 5
"""When to look again whether the database, or a region, answers."""

OF_STATUS = {
    400: ("bad_request", "The request cannot be read.", "Look at its address, its headers and its body."),
    404: ("not_found", "There is no such call.", "GET /v1/openapi.json lists them all."),
    405: ("method_not_allowed", "The call does not take that method.", "The header Allow names those that it takes."),
    413: ("too_large", "The body is larger than 1 MB.", "Send less."),
    415: ("not_json", "The body is not said to be JSON.", "Send it with Content-Type: application/json."),
    500: ("internal", "The portal failed while it answered.", "It is in the portal's log; tell who runs it."),
}
"""What is said where Django itself, or a server before it, has found something wrong."""


def error(
    status: int, error: str, reason: str, hint: str = "", /, *, retry_after: int | None = None, **more: Any
) -> HttpResponse:
    """`more` stands beside the three fields; `retry_after` in seconds. An error without it is final."""
    headers = {"Cache-Control": "no-store"}
    if retry_after is not None:
        headers["Retry-After"] = str(retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="region moves"'
    return JsonResponse({"error": error, "reason": reason, "hint": hint, **more}, status=status, headers=headers)


def of_status(status: int) -> HttpResponse:
    code, reason, hint = OF_STATUS.get(status, OF_STATUS[500 if status >= 500 else 400])
    return error(status, code, reason, hint)


def of_portal(request: HttpRequest, found: PortalError) -> HttpResponse:
    """A rule's refusal is `ineligible` always; what forbids stands beside it, the first of it as `code`."""
    if isinstance(found, Refused):
        blockers = [vars(blocker) for blocker in found.blockers]
        return error(409, Refused.code, found.reason, found.hint, code=found.code, blockers=blockers)
    status = next((status for kind, status in _STATUS.items() if isinstance(found, kind)), 500)
    return error(status, found.code, found.reason, found.hint, retry_after=AWAY_SECONDS if status == 503 else None)


def of_database(request: HttpRequest, found: OperationalError | InterfaceError) -> HttpResponse:
    """A race that the database ended may go well at once."""
    answer = of_portal(request, explained(found, hint="Try again; nothing of this request was done."))
    if answer.status_code == 409:
        answer.headers["Retry-After"] = "1"
    return answer


def of_http(request: HttpRequest, found: HttpError) -> HttpResponse:
    """What the framework finds wrong before it looks at any field: a body that is no JSON."""
    return error(found.status_code, "invalid_json", "The body is not JSON.", "Send one JSON object, in UTF-8.")


def of_fields(request: HttpRequest, found: ValidationError) -> HttpResponse:
    """Fields that cannot be meant, each named. A destination that is none is `invalid_region`, whatever is wrong."""
    problems = [_problem(one) for one in found.errors]
    first = problems[0]
    fields = [{"field": field, "problem": said} for field, said, _ in problems]
    reason = f"{first[0]}: {first[1]}."
    if any(field == "dest_region" for field, _, _ in problems):
        hint = "Name a region that GET /v1/regions lists."
        return error(400, "invalid_region", reason, hint, fields=fields)
    unknown = first[2] == "extra_forbidden"
    return error(
        422,
        "unknown_field" if unknown else "invalid",
        reason,
        "Leave it out." if unknown else "GET /v1/openapi.json says what it may be.",
        fields=fields,
    )


def _problem(found: Mapping[str, Any]) -> tuple[str, str, str]:
    """`field, what is wrong with it, the kind of that`; without the value, which could be anything."""
    source, *where = map(str, found["loc"])
    if source == "body":
        del where[:1]  # the name that the call has for the body
    said = "there is no such field" if found["type"] == "extra_forbidden" else found["msg"]
    return ".".join(where) or "the body", said[:1].lower() + said[1:], found["type"]

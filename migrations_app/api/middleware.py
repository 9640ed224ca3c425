"""What holds for every request to /v1 and /mcp, also for those that no call answers."""

from __future__ import annotations

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from migrations_app.api import answers

MOST_BYTES = 1_000_000
"""Of a body."""


def api_middleware(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Bodies are JSON and not too long; errors have one shape, whoever found them."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not (request.path_info in ("/v1", "/mcp") or request.path_info.startswith("/v1/")):
            return get_response(request)
        refused = _body_problem(request)
        if refused:
            return answers.of_status(refused)
        response = get_response(request)
        if response.status_code < 400 or response.headers.get("Content-Type", "").startswith("application/json"):
            return response
        shaped = answers.of_status(response.status_code)
        if "Allow" in response.headers:
            shaped.headers["Allow"] = response.headers["Allow"]
        return shaped

    return middleware


def _body_problem(request: HttpRequest) -> int | None:
    """The status that says what is wrong with the body; it is not read yet."""
    try:
        length = int(request.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return 400
    if length > MOST_BYTES:
        return 413
    return 415 if length > 0 and request.content_type != "application/json" else None

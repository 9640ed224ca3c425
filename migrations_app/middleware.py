"""Says for the audit trail where a request comes from."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from migrations_app.origin import acting_from

GetResponse = Callable[[HttpRequest], HttpResponse]


def origin_middleware(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        with acting_from("admin", address_of(request)):
            return get_response(request)

    return middleware


def address_of(request: HttpRequest) -> str:
    """The caller's address; behind our own proxy, what that one saw: the last entry of X-Forwarded-For."""
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.BEHIND_TLS_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")

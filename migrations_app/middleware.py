"""Where a request comes from, for the audit trail, and what time it is there; what no request may carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils import timezone

from migrations_app.clock import known_zones
from migrations_app.origin import acting_from

GetResponse = Callable[[HttpRequest], HttpResponse]

TIME_ZONE_COOKIE = "timezone"
"""Set by static/portal/console.js."""


def origin_middleware(get_response: GetResponse) -> GetResponse:
    def middleware(request: HttpRequest) -> HttpResponse:
        with acting_from("admin", address_of(request)):
            return get_response(request)

    return middleware


def nul_middleware(get_response: GetResponse) -> GetResponse:
    """A NUL is in nothing that a browser sends by itself, and the database takes none: no view is asked."""

    def middleware(request: HttpRequest) -> HttpResponse:
        fields = chain(_texts(request.GET), _texts(request.POST))
        if any("\0" in text for text in chain([request.path], fields)):
            raise BadRequest("There is a NUL in the address or the form.")
        return get_response(request)

    return middleware


def _texts(fields: QueryDict) -> Iterator[str]:
    """The names of the fields, and every value of each."""
    for name, values in fields.lists():
        yield from (name, *map(str, values))


def address_of(request: HttpRequest) -> str:
    """The caller's address; behind our own proxy, what that one saw: the last entry of X-Forwarded-For."""
    forwarded = request.headers.get("X-Forwarded-For", "") if settings.BEHIND_TLS_PROXY else ""
    return forwarded.rpartition(",")[2].strip() or request.META.get("REMOTE_ADDR", "")


def time_zone_middleware(get_response: GetResponse) -> GetResponse:
    """Times are shown in the zone of the user's machine, which its browser tells by a cookie; without one in UTC."""

    def middleware(request: HttpRequest) -> HttpResponse:
        wanted = request.COOKIES.get(TIME_ZONE_COOKIE, "")
        with timezone.override(ZoneInfo(wanted) if wanted in known_zones() else None):
            return get_response(request)

    return middleware

"""Where a request comes from, for the audit trail, and what time it is there."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.conf import settings
from django.http import HttpRequest, HttpResponse
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

"""An app's route as Caddy's JSON, and back. Pure.

The form: match the host name; while fenced, answer everything but safe methods with 503; proxy the rest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from migrations_app.errors import PermanentError

Json = dict[str, Any]

SAFE_METHODS = ["GET", "HEAD", "OPTIONS", "TRACE"]
FENCED_BODY = json.dumps({"error": "app_migrating"}, separators=(",", ":"))
RETRY_AFTER_SECONDS = 5

# Caddy expands {placeholders} in host names and dial addresses; neither form lets one through.
_HOSTNAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_UPSTREAM = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}")
_SLUG = re.compile(r"[a-z][a-z0-9-]{0,39}")

_FENCE: Json = {
    "match": [{"not": [{"method": SAFE_METHODS}]}],
    "handle": [
        {
            "handler": "static_response",
            "status_code": "503",
            "headers": {
                "Content-Type": ["application/json"],
                "Retry-After": [str(RETRY_AFTER_SECONDS)],
                "Cache-Control": ["no-store"],
            },
            "body": FENCED_BODY,
        }
    ],
}

# A connection that could not be made is tried again for any method, since nothing was sent. An error on a connection
# that stood is tried again for GET and HEAD only: a write is never sent twice.
_RETRY: Json = {"try_duration": "5s", "try_interval": "50ms", "retry_match": [{"method": ["GET", "HEAD"]}]}


@dataclass(frozen=True)
class Route:
    """Where an app's host name leads, and whether writes are fenced off. `upstream` is `host:port`."""

    hostname: str
    upstream: str
    fenced: bool = False

    def __post_init__(self) -> None:
        """Host names are compared in lower case, so they are kept so."""
        object.__setattr__(self, "hostname", self.hostname.lower())
        if not _HOSTNAME.fullmatch(self.hostname):
            raise PermanentError(f"{self.hostname!r} is not a host name.", code="bad_route")
        if not _UPSTREAM.fullmatch(self.upstream):
            raise PermanentError(f"{self.upstream!r} is not an upstream of the form host:port.", code="bad_route")


def route_id(slug: str) -> str:
    """The "@id" of an app's route."""
    if not _SLUG.fullmatch(slug):
        raise PermanentError(f"{slug!r} is not a slug.", code="bad_route")
    return f"app-{slug}"


def to_json(slug: str, route: Route) -> Json:
    """The route as Caddy's admin API takes it."""
    proxy: Json = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": route.upstream}],
        "load_balancing": _RETRY,
        # Idle connections are given up before a server behind gives them up, so no write runs into a closing one.
        "transport": {"protocol": "http", "dial_timeout": "2s", "keep_alive": {"idle_timeout": "1s"}},
    }
    inner = [_FENCE] if route.fenced else []
    return {
        "@id": route_id(slug),
        "match": [{"host": [route.hostname]}],
        "handle": [{"handler": "subroute", "routes": [*inner, {"handle": [proxy]}]}],
        "terminal": True,
    }


def from_json(route: Json) -> Route | None:
    """The Route that a route of ours stands for; None when somebody changed it into something else."""
    hostname, upstream = next(_hostnames(route), ""), next(upstreams(route), "")
    if not _HOSTNAME.fullmatch(hostname) or not _UPSTREAM.fullmatch(upstream):
        return None
    return Route(hostname, upstream, fenced=any(handler == _FENCE for handler in _objects(route)))


def serves(route: Json, hostname: str) -> bool:
    """Whether the route, on its own level, matches exactly this host name."""
    return hostname.lower() in _hostnames(route)


def upstreams(route: Json) -> Iterator[str]:
    """Every address the route, or one nested in it, proxies to."""
    for found in _objects(route):
        if found.get("handler") == "reverse_proxy":
            yield from (str(u["dial"]) for u in found.get("upstreams") or [] if "dial" in u)


def _hostnames(route: Json) -> Iterator[str]:
    for matcher in route.get("match") or []:
        yield from (str(host).lower() for host in matcher.get("host") or [])


def _objects(value: object) -> Iterator[Json]:
    """Every JSON object in `value`, outermost first."""
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner)

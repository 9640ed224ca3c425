"""The routes of the apps' host names on one edge: a Caddy instance, reached over its admin API.

The edge's HTTP server is called `edge`. A route of ours carries the "@id" `app-<slug>` and stands before every other,
so a route that served the host name before is shadowed and comes back when ours is removed.

A change is confirmed by reading it back. A request that was under way by then finishes on the way it began, and so do
the few that still reached Caddy's old listener in that moment: the fence that counts is the database's.

Errors of all functions: TransientError when the edge does not answer or keeps changing; PermanentError when it
refuses.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from migrations_app.dataplane import plain_http
from migrations_app.dataplane.edge_route import Json, Route, from_json, route_id, serves, to_json, upstreams
from migrations_app.errors import PermanentError, TransientError

__all__ = ["Route", "apply", "find_upstream", "own_routes", "read", "remove"]

_ROUTES = "/config/apps/http/servers/edge/routes"
_TIMEOUT_SECONDS = 10.0
_TRIES = 10
_PAUSE_SECONDS = 0.02
_UNKNOWN, _CHANGED = 404, 412


def read(admin_url: str, slug: str) -> Route | None:
    """The app's route, or None when it has none here. PermanentError when it was changed by hand beyond reading."""
    found, _ = _own_route(admin_url, slug)
    if found is None:
        return None
    route = from_json(found)
    if route is None:
        raise PermanentError(
            f"The route {route_id(slug)} on the edge {plain_http.where(admin_url)} was changed by somebody else.",
            hint="Remove it in Caddy, or let the move write it anew.",
            code="edge_route_unreadable",
        )
    return route


def apply(admin_url: str, slug: str, route: Route) -> bool:
    """Create or replace the app's route, and confirm it. Returns whether anything had to change. Idempotent.

    TransientError `edge_not_confirmed` when the edge then shows something else.
    """
    wanted = to_json(slug, route)
    for _ in range(_TRIES):
        found, etag = _own_route(admin_url, slug)
        if found == wanted:
            return False
        if found is not None:
            status = _change(admin_url, "PATCH", f"/id/{route_id(slug)}", etag, wanted)
        else:
            status = _insert(admin_url, slug, wanted)
        if status not in (_CHANGED, _UNKNOWN):
            break
    else:
        raise _busy(admin_url)
    _confirm(admin_url, slug, wanted)
    return True


def remove(admin_url: str, slug: str) -> bool:
    """Delete the app's route, and confirm it. Returns whether there was one. Idempotent."""
    removed = False
    for _ in range(_TRIES):
        found, etag = _own_route(admin_url, slug)
        if found is None:
            return removed
        removed = _change(admin_url, "DELETE", f"/id/{route_id(slug)}", etag, None) != _CHANGED or removed
    raise _busy(admin_url)


def find_upstream(admin_url: str, hostname: str) -> tuple[str | None, str] | None:
    """The first route of this host name, ours or not: its "@id" if it has one, and its upstream `host:port`."""
    for route in _routes(admin_url)[0] or []:
        if serves(route, hostname) and (upstream := next(upstreams(route), "")):
            return route.get("@id"), upstream
    return None


def _confirm(admin_url: str, slug: str, wanted: Json) -> None:
    found, _ = _own_route(admin_url, slug)
    if found != wanted:
        raise TransientError(
            f"The edge {plain_http.where(admin_url)} took the route {route_id(slug)} but shows another one.",
            hint="Something else writes its configuration; stop it or let it leave the app-… routes alone.",
            code="edge_not_confirmed",
        )


def _own_route(admin_url: str, slug: str) -> tuple[Json | None, str]:
    answer = _send(admin_url, "GET", f"/id/{route_id(slug)}", allowed=(_UNKNOWN,))
    if answer.status == _UNKNOWN:
        return None, ""
    return json.loads(answer.body), answer.headers.get("etag", "")


def _routes(admin_url: str) -> tuple[list[Json] | None, str]:
    answer = _send(admin_url, "GET", _ROUTES)
    return json.loads(answer.body), answer.headers.get("etag", "")


def _insert(admin_url: str, slug: str, wanted: Json) -> int:
    routes, etag = _routes(admin_url)
    if routes is None:  # a server without the key; POST would append to a list that is there
        return _change(admin_url, "POST", _ROUTES, etag, [wanted])
    if any(route.get("@id") == route_id(slug) for route in routes):
        return _CHANGED  # another runner was faster
    return _change(admin_url, "PUT", f"{_ROUTES}/0", etag, wanted)


def _change(admin_url: str, method: str, path: str, etag: str, body: Any) -> int:
    """Send a change that counts only if what was read is still there; returns the status."""
    return _send(admin_url, method, path, etag=etag, body=body, allowed=(_CHANGED, _UNKNOWN)).status


def _send(
    admin_url: str, method: str, path: str, *, etag: str = "", body: Any = None, allowed: tuple[int, ...] = ()
) -> plain_http.Response:
    headers = {"If-Match": etag} if etag else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
    data = None if body is None else json.dumps(body).encode()
    name = plain_http.where(admin_url)
    # With every change Caddy replaces its admin listener, and whoever waits at the old one is cut off. To send again is
    # safe: a change that did happen fails its If-Match now.
    for tries_left in reversed(range(_TRIES)):
        try:
            answer = plain_http.request(
                method, admin_url.rstrip("/") + path, body=data, headers=headers, timeout_seconds=_TIMEOUT_SECONDS
            )
            break
        except plain_http.NoAnswer as error:
            if not (error.hung_up and tries_left):
                raise TransientError(f"The edge {name} does not answer: {error}.", code="edge_unreachable") from error
            time.sleep(_PAUSE_SECONDS)
    if answer.status == 200 or answer.status in allowed:
        return answer
    raise PermanentError(
        f"The edge {name} refused {method} {path} with status {answer.status}: {_reason(answer.body)}",
        hint="It must be Caddy's admin API, with an HTTP server called edge.",
        code="edge_refused",
    )


def _reason(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"])[:500]
    except (ValueError, KeyError, TypeError):
        return "it gave no reason"


def _busy(admin_url: str) -> TransientError:
    return TransientError(
        f"The configuration of the edge {plain_http.where(admin_url)} kept changing under us.", code="edge_busy"
    )


_OWN_ID = re.compile(r"app-([a-z][a-z0-9-]{0,39})")


def own_routes(admin_url: str) -> dict[str, Route | None]:
    """Every route of ours, by its app's slug; None for one that was changed by hand beyond reading."""
    named = ((_OWN_ID.fullmatch(str(route.get("@id"))), route) for route in _routes(admin_url)[0] or [])
    return {match[1]: from_json(route) for match, route in named if match}

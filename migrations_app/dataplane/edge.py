"""The routes of the apps' host names on one edge: a Caddy instance, reached over its admin API.

The edge's HTTP server is called `edge`. A route of ours carries the "@id" `app-<slug>` and stands before every other,
so a route that served the host name before is shadowed and comes back when ours is removed.

Routes are read and changed as one list, never by Caddy's `/id/`: it looks up where an id stands and then goes there
without its lock, so that beside another runner's insertion it answers with the neighbour's route or with status 500.

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
_TRIES = 30
_PAUSE_SECONDS = 0.02
_CHANGED = 412


def read(admin_url: str, slug: str) -> Route | None:
    """The app's route, or None when it has none here. PermanentError when it was changed by hand beyond reading."""
    routes, _ = _routes(admin_url)
    found = _own(routes, slug)[1]
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
    return _become(admin_url, slug, to_json(slug, route))


def remove(admin_url: str, slug: str) -> bool:
    """Delete the app's route, and confirm it. Returns whether there was one. Idempotent. Errors as of apply()."""
    return _become(admin_url, slug, None)


def find_upstream(admin_url: str, hostname: str) -> tuple[str | None, str] | None:
    """The first route of this host name, ours or not: its "@id" if it has one, and its upstream `host:port`."""
    for route in _routes(admin_url)[0] or []:
        if serves(route, hostname) and (upstream := next(upstreams(route), "")):
            return route.get("@id"), upstream
    return None


def _become(admin_url: str, slug: str, wanted: Json | None) -> bool:
    """Make `wanted` the app's route, or have it go; returns whether anything had to change."""
    changed = False
    for _ in range(_TRIES):
        routes, etag = _routes(admin_url)
        index, found = _own(routes, slug)
        if found == wanted:
            return changed
        if changed:
            raise TransientError(
                f"The edge {plain_http.where(admin_url)} took the change of {route_id(slug)} but shows something else.",
                hint="Something else writes its configuration; stop it or let it leave the app-… routes alone.",
                code="edge_not_confirmed",
            )
        if wanted is None:
            status = _change(admin_url, "DELETE", f"{_ROUTES}/{index}", etag, None)
        elif found is not None:
            status = _change(admin_url, "PATCH", f"{_ROUTES}/{index}", etag, wanted)
        elif routes is not None:
            status = _change(admin_url, "PUT", f"{_ROUTES}/0", etag, wanted)
        else:
            status = _change(admin_url, "POST", _ROUTES, etag, [wanted])
        changed = status != _CHANGED
    raise TransientError(
        f"The configuration of the edge {plain_http.where(admin_url)} kept changing under us.", code="edge_busy"
    )


def _own(routes: list[Json] | None, slug: str) -> tuple[int, Json | None]:
    """Where the app's route stands, and the route; None when it has none."""
    own_id = route_id(slug)
    return next(((i, route) for i, route in enumerate(routes or []) if route.get("@id") == own_id), (0, None))


def _routes(admin_url: str) -> tuple[list[Json] | None, str]:
    """All routes in their order, and the ETag by which a change counts only if they are still the same.

    None for a server that has no list yet, where only POST makes one; to a list that is there it would append.
    """
    answer = _send(admin_url, "GET", _ROUTES)
    return json.loads(answer.body), answer.headers.get("etag", "")


def _change(admin_url: str, method: str, path: str, etag: str, body: Any) -> int:
    """Send a change that counts only if what was read is still there; returns the status, _CHANGED if it is not."""
    return _send(admin_url, method, path, etag=etag, body=body, allowed=(_CHANGED,)).status


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


_OWN_ID = re.compile(r"app-([a-z][a-z0-9-]{0,39})")


def own_routes(admin_url: str) -> dict[str, Route | None]:
    """Every route of ours, by its app's slug; None for one that was changed by hand beyond reading."""
    named = ((_OWN_ID.fullmatch(str(route.get("@id"))), route) for route in _routes(admin_url)[0] or [])
    return {match[1]: from_json(route) for match, route in named if match}

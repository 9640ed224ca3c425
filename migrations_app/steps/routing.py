"""Every edge, one after the other, each confirmed: what several steps do to the app's route."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from migrations_app.dataplane import edge
from migrations_app.dataplane.edge_route import Route
from migrations_app.models import Region
from migrations_app.move import Move


def remember_routes(move: Move) -> None:
    """Which edges have a route of ours before the move, for restore()."""
    if not move.app.is_routed:
        move.act(f"No edge serves the app: it has no {'port' if move.app.hostname else 'host name'}.")
    elif move.fact("routes_there") is None:
        there = [url for url in settings.EDGE_ADMIN_URLS if edge.read(url, move.app.slug)]
        move.remember(routes_there=there)


def restore(move: Move) -> None:
    """Let every edge serve the app from the source again: by our route where there was one, else by what was before."""
    route(move, move.source, fenced=False)
    for admin_url in settings.EDGE_ADMIN_URLS:
        if move.app.is_routed and admin_url not in (move.fact("routes_there") or []):
            edge.remove(admin_url, move.app.slug)
            move.act(f"Edge {urlsplit(admin_url).netloc} had no route of ours: removed it.")


def route(move: Move, region: Region, *, fenced: bool) -> None:
    """Let every edge send the app's traffic to `region`; fenced, only reads."""
    app = move.app
    if not app.is_routed:
        return
    wanted = Route(hostname=app.hostname, upstream=app.upstream_in(region), fenced=fenced)
    for admin_url in settings.EDGE_ADMIN_URLS:
        move.check()
        edge.apply(admin_url, app.slug, wanted)
        move.act(
            f"Edge {urlsplit(admin_url).netloc} sends {app.hostname} to {region} ({wanted.upstream}), "
            + ("reads only; writes get 503." if fenced else "reads and writes.")
        )

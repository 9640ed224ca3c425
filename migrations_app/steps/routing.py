"""Every edge, one after the other, each confirmed: what several steps do to the app's route.

One that does not answer keeps nobody from switching the others: what brings traffic back reaches all it can. The step
fails all the same, with both lists, and is tried again.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from django.conf import settings

from migrations_app.dataplane import edge
from migrations_app.dataplane.edge_route import Route
from migrations_app.errors import StepError
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
    there = move.fact("routes_there")
    if there is None:  # no route was changed
        return
    serving = Route(hostname=move.app.hostname, upstream=move.app.upstream_in(move.source), fenced=False)

    def put_back(admin_url: str) -> str:
        if admin_url in there:
            edge.apply(admin_url, move.app.slug, serving)
            return _sends(move, move.source, serving)
        edge.remove(admin_url, move.app.slug)
        return "had no route of ours: removed it."

    _each_edge(move, put_back)


def route(move: Move, region: Region, *, fenced: bool) -> None:
    """Let every edge send the app's traffic to `region`; fenced, only reads."""
    if not move.app.is_routed:
        return
    wanted = Route(hostname=move.app.hostname, upstream=move.app.upstream_in(region), fenced=fenced)

    def switch(admin_url: str) -> str:
        edge.apply(admin_url, move.app.slug, wanted)
        return _sends(move, region, wanted)

    _each_edge(move, switch)


def _sends(move: Move, region: Region, route: Route) -> str:
    what = "reads only; writes get 503." if route.fenced else "reads and writes."
    return f"sends {move.app.hostname} to {region} ({route.upstream}), {what}"


def _each_edge(move: Move, change: Callable[[str], str]) -> None:
    """Change the app's route on every edge. Errors: as the first edge that could not be changed, naming all of them and
    those that were."""
    changed: list[str] = []
    failed: dict[str, StepError] = {}
    for admin_url in settings.EDGE_ADMIN_URLS:
        move.check()
        name = urlsplit(admin_url).netloc
        try:
            move.act(f"Edge {name} {change(admin_url)}")
            changed.append(name)
        except StepError as error:
            failed[name] = error
    if failed:
        first = next(iter(failed.values()))
        others = f" Changed: {', '.join(changed)}." if changed else ""
        raise type(first)(
            f"Edges not changed: {', '.join(failed)}.{others} {first.reason}", hint=first.hint, code=first.code
        )

"""Every edge, one after the other, each confirmed: what several steps do to the app's route."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings

from migrations_app.dataplane import edge
from migrations_app.dataplane.edge_route import Route
from migrations_app.models import Region
from migrations_app.move import Move


def route(move: Move, region: Region, *, fenced: bool) -> None:
    """Let every edge send the app's traffic to `region`; fenced, only reads."""
    app = move.app
    if not app.is_routed:
        move.act("No edge serves the app: it has no host name, or no port.")
        return
    wanted = Route(hostname=app.hostname, upstream=app.upstream_in(region), fenced=fenced)
    for admin_url in settings.EDGE_ADMIN_URLS:
        move.check()
        edge.apply(admin_url, app.slug, wanted)
        move.act(
            f"Edge {urlsplit(admin_url).netloc} sends {app.hostname} to {region} ({wanted.upstream}), "
            + ("reads only; writes get 503." if fenced else "reads and writes.")
        )

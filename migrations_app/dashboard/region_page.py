"""What a region's page says before its form: whether moves may come, what is there, what comes and goes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User

from migrations_app import queries
from migrations_app.dashboard.display import joined, link, list_of
from migrations_app.dashboard.last_moves import blocked_chart, move_rows, of_region
from migrations_app.dashboard.regions_now import regions_now
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.models.selecting import one_of, select
from migrations_app.permissions import IN_SIGHT, seen_by, sees_every_team
from migrations_app.states import REPLICA_OPEN

MOST_SHOWN = 10
LAST_MOVES = 12
_LISTED = 8

_APPS = f"""
FROM migrations_app_app AS app WHERE app.region_id = %(region)s AND {IN_SIGHT} ORDER BY app.slug LIMIT %(most)s
"""
_KEPT = f"""
FROM migrations_app_sourcereplica AS replica
JOIN migrations_app_appmigration AS move ON move.id = replica.migration_id
JOIN migrations_app_app AS app ON app.id = replica.app_id
WHERE replica.region_id = %(region)s AND replica.state {one_of(REPLICA_OPEN)} AND {IN_SIGHT}
ORDER BY replica.created_at DESC LIMIT %(most)s
"""
_ENDS = ("id", "source_region_id", "dest_region_id")


def about(region: Region, viewer: User) -> dict[str, Any]:
    """`now` (a RegionNow), `tone`, `sees_all`, `apps_there` and `replicas_there` (the first, `…_named` of them),
    `active` moves from and to it, its `last` moves, a `chart` of how long they blocked writes, and addresses of the
    lists that have all."""
    [now] = regions_now([region], viewer)
    here = {"region": region.pk, "viewer": seen_by(viewer), "most": MOST_SHOWN}
    apps = select(_APPS, here, app=(App, ("id", "slug")))
    kept = select(_KEPT, here, replica=(SourceReplica, ("id",)), move=(AppMigration, _ENDS), app=(App, ("id", "slug")))
    active, last = of_region(region, viewer, active=MOST_SHOWN, over=LAST_MOVES)
    queries.give_regions([*active, *last, *(move for _, move, _ in kept)])
    return {
        "now": now,
        "tone": now.tone,
        "sees_all": sees_every_team(viewer),
        "apps_there": joined(f"<li>{link(app)}</li>" for (app,) in apps),
        "apps_named": len(apps),
        "apps_url": list_of(App, region__id__exact=region.pk),
        "replicas_there": joined(
            f"<li>{link(replica, app.slug)} <small>lives in {move.dest_region}</small></li>"
            for replica, move, app in kept
        ),
        "replicas_named": len(kept),
        "replicas_url": list_of(SourceReplica, region__id__exact=region.pk, state__in=",".join(sorted(REPLICA_OPEN))),
        "active": move_rows(active, with_app=True),
        "last": move_rows(last[:_LISTED], with_app=True),
        "arrivals_url": list_of(AppMigration, dest_region__id__exact=region.pk),
        "departures_url": list_of(AppMigration, source_region__id__exact=region.pk),
        "chart": blocked_chart(last),
    }

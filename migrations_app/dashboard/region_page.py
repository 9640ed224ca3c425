"""What a region's page says before its form: whether moves may come, what is there, what comes and goes."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet

from migrations_app import queries
from migrations_app.dashboard.display import list_of, page_of
from migrations_app.dashboard.last_moves import as_shown, blocked_chart, move_rows
from migrations_app.dashboard.regions_now import regions_now
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.permissions import in_sight, sees_every_team, visible_apps
from migrations_app.states import ACTIVE, REPLICA_OPEN

MOST_SHOWN = 10
LAST_MOVES = 12
_LISTED = 8


def about(region: Region, viewer: User) -> dict[str, Any]:
    """`now` (a RegionNow), `tone`, `sees_all`, `apps_there` and `replicas_there` (the first), `active` moves from and
    to it, its `last` moves, a `chart` of how long they blocked writes, and addresses of the lists that have all."""
    [now] = regions_now([region], viewer)
    replicas = in_sight(SourceReplica.objects.filter(region=region, state__in=REPLICA_OPEN), viewer)
    kept = replicas.select_related("app", "migration").only(
        "app__slug", "migration__source_region", "migration__dest_region"
    )[:MOST_SHOWN]
    moves = _moves(region, viewer)
    active = list(moves.filter(status__in=ACTIVE)[:MOST_SHOWN])
    last = list(moves.exclude(status__in=ACTIVE)[:LAST_MOVES])
    queries.give_regions([*active, *last, *(replica.migration for replica in kept)])
    return {
        "now": now,
        "tone": now.tone,
        "sees_all": sees_every_team(viewer),
        "apps_there": [
            {"name": app.slug, "url": page_of(app)}
            for app in visible_apps(viewer).filter(region=region).only("slug")[:MOST_SHOWN]
        ],
        "apps_url": list_of(App, region__id__exact=region.pk),
        "replicas_there": [
            {"app": replica.app, "url": page_of(replica), "lives_in": replica.migration.dest_region} for replica in kept
        ],
        "replicas_url": list_of(SourceReplica, region__id__exact=region.pk, state__in=",".join(sorted(REPLICA_OPEN))),
        "active": move_rows(active, with_app=True),
        "last": move_rows(last[:_LISTED], with_app=True),
        "arrivals_url": list_of(AppMigration, dest_region__id__exact=region.pk),
        "departures_url": list_of(AppMigration, source_region__id__exact=region.pk),
        "chart": blocked_chart(last),
    }


def _moves(region: Region, viewer: User) -> QuerySet[AppMigration]:
    """From and to it, the newest first. They lack their regions: queries.give_regions()."""
    either = AppMigration.objects.filter(Q(source_region=region) | Q(dest_region=region))
    return as_shown(in_sight(either, viewer))

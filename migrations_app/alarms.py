"""What is wrong now, for every surface: the open alarms that somebody sees, and whether anybody looks at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db.models import QuerySet

from migrations_app.engine.reconciler import HEARTBEAT
from migrations_app.models import Alarm, AppMigration, Region
from migrations_app.models.alarm import AlarmCode
from migrations_app.models.selecting import select
from migrations_app.permissions import IN_SIGHT, in_sight, seen_by, sees_every_team
from migrations_app.prepared import prepared

_OPEN = f"""
FROM migrations_app_alarm AS alarm
LEFT JOIN migrations_app_appmigration AS move ON move.id = alarm.migration_id
LEFT JOIN migrations_app_app AS app ON app.id = move.app_id
WHERE alarm.ended_at IS NULL AND {IN_SIGHT} AND (%(region)s::bigint IS NULL OR alarm.region_id = %(region)s)
ORDER BY alarm.since DESC, alarm.id DESC
"""
_LAST_HEARD = "SELECT clock_timestamp(), (SELECT at FROM migrations_app_heartbeat WHERE name = %s)"


def in_sight_of(viewer: User | None) -> QuerySet[Alarm]:
    """Alarms about a move's replica for who sees the app, the others for who sees every team."""
    if sees_every_team(viewer):
        return Alarm.objects.all()
    return Alarm.objects.filter(migration__in=in_sight(AppMigration.objects.all(), viewer))


def now_open(viewer: User | None, region: Region | None = None) -> list[Alarm]:
    """What is wrong now, everywhere or in a region, the newest first; before all, if so, that nobody is there to see it
    (not a row)."""
    found = select(_OPEN, {"viewer": seen_by(viewer), "region": region and region.pk}, alarm=Alarm)
    return [*silence(), *(alarm for (alarm,) in found)]


def silence() -> list[Alarm]:
    """That nobody looks, as an alarm; empty while the reconciler is heard of."""
    with prepared() as cursor:
        cursor.execute(_LAST_HEARD, [HEARTBEAT])
        now, heard = cursor.fetchone()
    if heard and now - heard <= timedelta(seconds=settings.MOVES_ALARM_SECONDS):
        return []
    how_long = f"for {(now - heard).total_seconds():.0f} s" if heard else "yet"
    return [
        Alarm(
            code=AlarmCode.RECONCILER_SILENT,
            about="reconciler",
            sentence=f"The reconciler has not been heard of {how_long}.",
            hint="Start it: manage.py reconcile. Until then nobody rings for what is due or sees alarms.",
            since=heard,  # never saved
            seen_at=now,
        )
    ]


def describe(alarm: Alarm) -> dict[str, Any]:
    return {
        "code": alarm.code,
        "about": alarm.about,
        "sentence": alarm.sentence,
        "hint": alarm.hint,
        "since": alarm.since,
        "seen_at": alarm.seen_at,
        "region": alarm.region.slug if alarm.region else None,
        "migration_id": str(alarm.migration_id) if alarm.migration_id else None,
    }

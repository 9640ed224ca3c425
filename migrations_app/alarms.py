"""What is wrong now, for every surface: the open alarms that somebody sees, and whether anybody looks at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import QuerySet

from migrations_app.engine.reconciler import HEARTBEAT
from migrations_app.models import Alarm, AppMigration
from migrations_app.models.alarm import AlarmCode
from migrations_app.permissions import in_sight, sees_every_team

_LAST_HEARD = "SELECT clock_timestamp(), (SELECT at FROM migrations_app_heartbeat WHERE name = %s)"


def in_sight_of(viewer: User | None) -> QuerySet[Alarm]:
    """Alarms about a move's replica for who sees the app, the others for who sees every team."""
    if sees_every_team(viewer):
        return Alarm.objects.all()
    return Alarm.objects.filter(migration__in=in_sight(AppMigration.objects.all(), viewer))


def now_open(viewer: User | None) -> list[Alarm]:
    """What is wrong now, the newest first; before all, if so, that nobody is there to see it (not a row)."""
    found = list(in_sight_of(viewer).filter(ended_at__isnull=True))
    return [*silence(), *found]


def silence() -> list[Alarm]:
    """That nobody looks, as an alarm; empty while the reconciler is heard of."""
    with connection.cursor() as cursor:
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

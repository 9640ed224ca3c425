"""The database's clock: the one all processes share, whatever their own say. And the zones people read it in."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from functools import cache
from zoneinfo import available_timezones

from django.db import connection


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def beginning_of(day: date) -> datetime:
    """Midnight in UTC: the moment meant where people name a day only."""
    return datetime.combine(day, time(), UTC)


@cache
def known_zones() -> frozenset[str]:
    """The names of time zones. One is looked up before it is asked for: a ZoneInfo of any name would read files."""
    return frozenset(available_timezones())

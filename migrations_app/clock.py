"""The database's clock: the one all processes share, whatever their own say."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from django.db import connection


def database_now() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        moment: datetime = cursor.fetchone()[0]
    return moment


def beginning_of(day: date) -> datetime:
    """Midnight in UTC: the moment meant where people name a day only."""
    return datetime.combine(day, time(), UTC)

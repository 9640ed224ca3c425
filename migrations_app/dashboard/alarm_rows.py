"""Alarms as rows: each leads to what it is about."""

from __future__ import annotations

from typing import Any, NamedTuple

from migrations_app.dashboard.display import page_at, page_of
from migrations_app.models import Alarm, AppMigration, Region, SourceReplica, Subscription

_ABOUT: dict[str, type[SourceReplica | Subscription]] = {"replica": SourceReplica, "subscription": Subscription}


class Subject(NamedTuple):
    name: str
    url: str


def subject_of(alarm: Alarm) -> Subject | None:
    """What the alarm is about, where that has a page. No question to the database: what it is about names it, or a key
    of the alarm does."""
    what, _, key = alarm.about.partition(" ")
    if what in _ABOUT and key.isdecimal():
        return Subject(f"the {what}", page_at(_ABOUT[what], int(key)))
    if alarm.migration_id:
        return Subject("the move", page_at(AppMigration, alarm.migration_id))
    if alarm.region_id:
        return Subject("the region", page_at(Region, alarm.region_id))
    return None


def alarm_row(alarm: Alarm) -> dict[str, Any]:
    """`alarm, page`: of its subject, or its own; none of what is never a row."""
    subject = subject_of(alarm)
    return {"alarm": alarm, "page": subject.url if subject else page_of(alarm) if alarm.pk else ""}

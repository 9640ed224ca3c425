"""Alarms as rows: each leads to what it is about."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any, NamedTuple

from migrations_app.dashboard.display import list_of, page_at, page_of
from migrations_app.models import Alarm, AppMigration, Region, SourceReplica, Subscription

_ABOUT: dict[str, type[SourceReplica | Subscription]] = {"replica": SourceReplica, "subscription": Subscription}

_ALIKE = 3


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


def alarm_rows(alarms: Iterable[Alarm]) -> list[dict[str, Any]]:
    """Those of a code together: when a region is away its replicas all say so, and what else is wrong has to be seen.
    Of each the first _ALIKE; the last of them tells how many `more` there are, and where (`more_url`). `alarm, page`:
    of its subject, or its own; none of what is never a row."""
    of_code: dict[str, list[Alarm]] = defaultdict(list)
    for alarm in alarms:
        of_code[alarm.code].append(alarm)
    rows = []
    for code, alike in of_code.items():
        rows += [_row(alarm) for alarm in alike[:_ALIKE]]
        if len(alike) > _ALIKE:
            rows[-1] |= {"more": len(alike) - _ALIKE, "more_url": list_of(Alarm, code__exact=code)}
    return rows


def _row(alarm: Alarm) -> dict[str, Any]:
    subject = subject_of(alarm)
    return {"alarm": alarm, "page": subject.url if subject else page_of(alarm) if alarm.pk else ""}

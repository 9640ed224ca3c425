"""Raising alarms and ending them. Idempotent: what is already so stays one alarm, whoever sees it and how often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import structlog
from django.db.models import QuerySet
from django.db.models.functions import Now

from migrations_app.models import Alarm, AppMigration, Region
from migrations_app.models.alarm import AlarmCode

log = structlog.get_logger()


@dataclass(frozen=True)
class Trouble:
    """What an alarm says: `sentence` what is wrong, `hint` what to do; since when, the alarm knows itself."""

    code: AlarmCode
    about: str
    sentence: str
    hint: str
    region: Region | None = None
    migration: AppMigration | None = None


def still_open() -> QuerySet[Alarm]:
    return Alarm.objects.filter(ended_at__isnull=True)


def raise_(trouble: Trouble) -> None:
    """Raise the alarm, or note that it is still so."""
    said = {"sentence": trouble.sentence, "hint": trouble.hint, "seen_at": Now()}
    said |= {"region": trouble.region, "migration": trouble.migration}
    if still_open().filter(code=trouble.code, about=trouble.about).update(**said):
        return
    _, is_new = Alarm.objects.get_or_create(code=trouble.code, about=trouble.about, ended_at=None, defaults=said)
    if is_new:
        log.warning("alarm.raised", code=str(trouble.code), about=trouble.about, sentence=trouble.sentence)


def clear(alarms: QuerySet[Alarm]) -> None:
    """End those of the alarms that are open."""
    for alarm in alarms.filter(ended_at__isnull=True):
        if Alarm.objects.filter(pk=alarm.pk, ended_at__isnull=True).update(ended_at=Now()):
            log.info("alarm.ended", code=alarm.code, about=alarm.about)


def settle(found: Iterable[Trouble], *, among: QuerySet[Alarm]) -> None:
    """Raise what was found, and end what else is open `among` these alarms: it was looked at, and is so no more."""
    kept = list(found)
    for trouble in kept:
        raise_(trouble)
        among = among.exclude(code=trouble.code, about=trouble.about)
    clear(among)

from __future__ import annotations

import sys
from typing import Any

from django.db.models import prefetch_related_objects

from migrations_app import alarms, permissions
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.models import Alarm
from migrations_app.permissions import Verb


class Command(PortalCommand):
    help = "List what is wrong now. Exit status 1 if anything is, 0 if nothing is: a check for your monitoring."
    failed = "something is wrong"
    examples = (
        ("What is wrong now", "list_alarms"),
        ("The same, for a program", "list_alarms --json"),
    )

    def run(self, **options: Any) -> None:
        permissions.require(self.user, Verb.VIEW)
        found = alarms.now_open(self.user)
        prefetch_related_objects(found, "region")
        self.answer(
            {"alarms": [alarms.describe(alarm) for alarm in found]},
            "\n".join(_line(alarm) for alarm in found) or "No alarms.",
        )
        if found:
            sys.exit(EXIT_FAILED)


def _line(alarm: Alarm) -> str:
    since = f"since {alarm.since:%Y-%m-%d %H:%M:%S} UTC  " if alarm.since else ""
    return f"{alarm.code:<18} {since}{alarm.sentence} {alarm.hint}".rstrip()

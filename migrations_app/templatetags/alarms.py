from __future__ import annotations

from typing import Any

from django import template
from django.contrib.auth.models import User

from migrations_app import alarms
from migrations_app.dashboard.display import list_of, moment, page_of
from migrations_app.models import Alarm
from migrations_app.permissions import Verb, can

register = template.Library()


@register.inclusion_tag("dashboard/_alarms.html")
def open_alarms(user: User) -> dict[str, Any]:
    """What is wrong now, as far as the user sees it."""
    found = alarms.now_open(user) if can(user, Verb.VIEW) else []
    return {
        "alarms": [
            {
                "sentence": alarm.sentence,
                "hint": alarm.hint,
                "page": page_of(alarm) if alarm.pk else "",
                "since": moment(alarm.since) if alarm.since else "",
            }
            for alarm in found
        ],
        "list": list_of(Alarm),
    }

"""Wrong configuration fails `manage.py check`, with an id and a hint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from migrations_app.states import Act, Step

_SHORTEST_KEY = 32


@register
def configuration(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not settings.DATABASE_URL_IS_SET:
        found.append(
            Error(
                "DATABASE_URL is not set.",
                hint='Name the portal\'s own PostgreSQL, or: `eval "$(.venv/bin/python manage.py sandbox env)"`.',
                id="portal.E001",
            )
        )
    if not settings.SECRET_KEY_IS_SET:
        found.append(
            Error("SECRET_KEY is not set.", hint="Set it to 50 random characters, the same for all.", id="portal.E002")
        )
    if not (Path(settings.PG_BIN_DIR) / "pg_dump").exists():
        found.append(
            Error(
                f"PG_BIN_DIR names {settings.PG_BIN_DIR}, where there is no pg_dump.",
                hint="Point it at PostgreSQL client tools as new as the newest region's server.",
                id="portal.E003",
            )
        )
    if settings.EDGE_PUBLIC_URLS and len(settings.EDGE_PUBLIC_URLS) != len(settings.EDGE_ADMIN_URLS):
        found.append(
            Error(
                "EDGE_PUBLIC_URLS and EDGE_ADMIN_URLS differ in length.",
                hint="List the public address of every edge, in the order of EDGE_ADMIN_URLS.",
                id="portal.E004",
            )
        )
    if settings.MOVES_BEAT_SECONDS * 2 > settings.MOVES_LEASE_SECONDS:
        found.append(
            Error(
                "MOVES_BEAT_SECONDS is more than half of MOVES_LEASE_SECONDS.",
                hint="One late beat would lose the lease: make the lease at least twice the beat.",
                id="portal.E005",
            )
        )
    no_steps = settings.MOVES_STEP_DEADLINES.keys() - {*Step, "any"}
    if no_steps:
        found.append(
            Error(
                f"MOVES_STEP_DEADLINES names {', '.join(sorted(no_steps))}, which is no step.",
                hint="Write step=seconds, separated by commas; any=seconds is for all that are not named.",
                id="portal.E007",
            )
        )
    if 0 < len(settings.MOVES_WEBHOOK_KEY) < _SHORTEST_KEY:
        found.append(
            Error(
                f"MOVES_WEBHOOK_KEY has {len(settings.MOVES_WEBHOOK_KEY)} characters.",
                hint=f"Use {_SHORTEST_KEY} random characters or more, the same for all processes.",
                id="portal.E008",
            )
        )
    if settings.MOVES_PUBLIC_URL and not settings.MOVES_PUBLIC_URL.startswith(("http://", "https://")):
        found.append(
            Error(
                f"MOVES_PUBLIC_URL is {settings.MOVES_PUBLIC_URL}, which is no web address.",
                hint="Give all of it: https://…",
                id="portal.E009",
            )
        )
    unknown = settings.MOVES_FOUR_EYES - set(Act)
    if unknown:
        found.append(
            Error(
                f"MOVES_FOUR_EYES names {', '.join(sorted(unknown))}, which is no act.",
                hint=f"Use any of {', '.join(Act)}, separated by commas.",
                id="portal.E006",
            )
        )
    return found

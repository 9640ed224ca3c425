"""What a tool answers instead of doing it: why, the code that every surface has for it, and what to do next."""

from __future__ import annotations

import json

from migrations_app.errors import PortalError

_STATUS = "move_app_status(app_id={app_id}, migration_id={migration_id})"
_GET_ACTIVE = 'manage_migrations(action="get_active", app_id={app_id})'
_REPLICAS = 'manage_migrations(action="list_source_replicas")'
_LOOK_AGAIN = f"Call {_STATUS} to see how it stands now."
_NO_WAY_BACK = f"{_REPLICAS} lists the ways back there are. Without one, move_app moves the app like any other."
_ANOTHER_REGION = "Call list_regions() for the names, and ask the user which region is meant."

NEXT = {
    "unknown_app": (
        "Ask the user for the app's exact name. An app of a team that the token's user is not in is answered like one "
        "that does not exist."
    ),
    "unknown_migration": f"Call {_GET_ACTIVE} for the move under way, or {_REPLICAS} for the completed ones.",
    "invalid_region": _ANOTHER_REGION,
    "same_region": "There is nothing to move, unless the user means another region: list_regions() names them.",
    "move_active": (
        "Follow the move under way with move_app_status and its id; "
        f'{_GET_ACTIVE} shows it. manage_migrations(action="abort", migration_id=…) undoes it: ask the user first.'
    ),
    "replica_retained": (
        'Ask the user which: manage_migrations(action="reverse", migration_id=…) with that move\'s id brings the app '
        "back, teardown_source_replica(migration_id=…) gives the way back up for good. Then call move_app again."
    ),
    "preflight_failed": "Tell the user. Call the tool again once that is remedied.",
    "past_pivot": f'Call {_STATUS} until it is completed, then manage_migrations(action="reverse", '
    "migration_id={migration_id}) if the user still wants the app back.",
    "not_completed": _LOOK_AGAIN,
    "not_abortable": _LOOK_AGAIN,
    "changed_meanwhile": _LOOK_AGAIN,
    "no_replica": _NO_WAY_BACK,
    "replica_torn_down": _NO_WAY_BACK,
    "replica_tearing_down": _NO_WAY_BACK,
    "replica_reversed": _NO_WAY_BACK,
    "way_back_lost": "Ask the user: teardown_source_replica(migration_id=…) frees the region, then move_app moves the "
    "app there anew.",
    "replica_drifted": "Tell the user. Call the tool again once that is remedied.",
    "already_asked": f"No tool approves: tell the user. {_LOOK_AGAIN}",
    "forbidden": "Tell the user; calling again changes nothing.",
    "scope": "Tell the user; with this token calling again changes nothing.",
    "portal_database_away": "Wait half a minute, look how things stand, and call again if it was not done.",
}
"""What an assistant does next, by the error's code. Some of it begins with what a person would do, the error's hint."""

_ELSEWHERE = frozenset({"unknown_app", "invalid_region"})
"""Codes with a hint that names a command, or a call of the HTTP API."""


def told(error: PortalError, *, app_id: str | None, migration_id: str | None) -> str:
    """The refusal as text for a model; the ids are those it called the tool with."""
    known = {"app_id": _quoted(app_id), "migration_id": _quoted(migration_id)}
    hint = "" if error.code in _ELSEWHERE else error.hint
    remedy = f"{hint} {NEXT.get(error.code, '').format_map(known)}".strip()
    return "\n".join(filter(None, (f"Refused: {error.reason}", f"Code: {error.code}", remedy and f"Next: {remedy}")))


def _quoted(given: str | None) -> str:
    return json.dumps(given) if given else "…"

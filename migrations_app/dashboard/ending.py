"""How a move came to be undone, or to end without having moved anything: since when, by whom, at which step, why."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from django.contrib.auth.models import User
from django.urls import reverse
from django.utils.http import urlencode

from migrations_app.dashboard.buttons import Button
from migrations_app.models import AppMigration, AuditEvent
from migrations_app.permissions import Verb, can
from migrations_app.states import Kind, Status

_SO = (Status.ABORTING, Status.ABORTED, Status.FAILED)
_DID = {
    "abort": "aborted it",
    "approve": "had it aborted",
    "reject": "rejected it",
    "withdraw": "withdrew it",
    "go_back": "had it undone",
    "reverse": "reversed it while it was held",
    "expire": "let it expire",
}
_NOT_BEGUN = ("reject", "withdraw", "expire")


class Ending(NamedTuple):
    since: datetime
    sentence: str


def ending(move: AppMigration) -> Ending | None:
    """One question to the audit trail, of a move that is being undone or that came to nothing; of others None."""
    if move.status not in _SO:
        return None
    events = AuditEvent.objects.filter(migration=move, to_status__in=_SO).only(
        "at", "actor_name", "verb", "to_status", "reason"
    )
    first = events.order_by("id").first()
    return Ending(first.at, _sentence(move, first)) if first else None


def _sentence(move: AppMigration, event: AuditEvent) -> str:
    """What the last error says already is not said again."""
    by = event.actor_name or ("It" if event.verb == "fail" else "The portal")
    did = "failed" if event.verb == "fail" else _DID.get(event.verb, "ended it")
    place = "" if event.verb in _NOT_BEGUN else f" at {move.current_step}"
    why = f": {event.reason}" if event.reason and event.reason != move.last_error else "."
    return f"{by} {did}{place}{why}"


def ask_again(move: AppMigration, user: User) -> list[Button]:
    """Of a move that came to nothing: the form, filled in. A reverse is asked for at the move that it was of."""
    wanted = move.status in (Status.ABORTED, Status.FAILED) and move.kind != Kind.REVERSE
    if not wanted or move.app.region_id == move.dest_region_id or not can(user, Verb.REQUEST, move.app):
        return []
    chosen = urlencode({"app": move.app.slug, "dest": move.dest_region.slug, "strategy": move.strategy})
    effect = "Opens New move, with this app and this destination filled in."
    return [Button("Ask again", f"{reverse('admin:new_move')}?{chosen}", [], effect=effect)]

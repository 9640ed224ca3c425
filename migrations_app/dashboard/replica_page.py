"""What a replica's page says before its figures: whether it is a way back, until when, and how far behind it was."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from migrations_app import approvals, queries
from migrations_app.clock import database_now
from migrations_app.dashboard.buttons import buttons_of
from migrations_app.dashboard.charts import Chart, Point
from migrations_app.dashboard.display import badge, log_of, tone_of
from migrations_app.dashboard.standing import notes_on, way_back
from migrations_app.models import SourceReplica
from migrations_app.permissions import Verb
from migrations_app.states import ReplicaState

_NEVER = "Its lag was not measured yet."


def about(replica: SourceReplica, viewer: User) -> dict[str, Any]:
    """`badge, tone, way_back, notes, buttons, charts` (of its lag), `log` (of its teardown)."""
    move = replica.migration
    troubled = bool(replica.problem) and replica.state == ReplicaState.RETAINED
    shown = "warn" if troubled else replica.state
    offers = queries.offers(move, user=viewer)
    return {
        "badge": badge(shown, replica.state.replace("_", " ")),
        "tone": tone_of(shown),
        "way_back": way_back(move, database_now()),
        "notes": notes_on(move, approvals.open_of(move)),
        "buttons": buttons_of(move, viewer, offers, only=[Verb.REVERSE, Verb.TEARDOWN, Verb.KEEP]),
        "charts": lag_charts(replica),
        "log": log_of(replica.acts, "teardown"),
    }


def lag_charts(replica: SourceReplica) -> list[Chart]:
    """How far behind it was, as the watch noted it; a sample without a figure is left out."""
    samples = [(datetime.fromisoformat(at), held, late) for at, held, late in replica.history]
    amount = [Point(at, held) for at, held, _ in samples if held is not None]
    time = [Point(at, late) for at, _, late in samples if late is not None]
    return [
        Chart("Behind, in WAL not confirmed yet", "bytes", amount, none=_NEVER),
        Chart("Behind, in time", "seconds", time, none=_NEVER),
    ]

"""How long a replica is kept. Nothing in a region changes by it."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from migrations_app import permissions, queries, rules
from migrations_app.actions.locks import locked_replica, refuse
from migrations_app.clock import database_now
from migrations_app.engine import alarms, reviews
from migrations_app.errors import InvalidInput
from migrations_app.models import SourceReplica
from migrations_app.permissions import Verb
from migrations_app.transitions import record


def keep(*, move_id: UUID | str, acting_user: User | None, until: datetime, reason: str = "") -> SourceReplica:
    """Set the day by which somebody looks whether the replica is still needed, be it later or sooner than before."""
    move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.KEEP, move)
    until = until.astimezone(UTC)
    problem = rules.day_problem(until, database_now())
    if problem:
        raise InvalidInput(problem.reason, hint=problem.hint, code=problem.code)
    with transaction.atomic():
        replica = locked_replica(move)
        refuse(rules.forbids_use_of(replica, "kept"))
        assert replica is not None  # noqa: S101 — else it is refused
        before, replica.review_at = replica.review_at, until
        replica.save(update_fields=["review_at"])
        alarms.clear(reviews.calls_for(replica))
        days = f"{before:%Y-%m-%d} → {until:%Y-%m-%d}"
        record("keep", migration=move, actor=acting_user, reason=": ".join(filter(None, (days, reason.strip()))))
    return replica

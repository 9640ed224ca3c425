"""What the actions share: row locks, the reason everybody has to give, and refusals.

An action that locks the app does not lock a move; the others lock the move, as a runner does, which at the pivot
changes the app as well. Replicas come after these, then approvals, then the trail's events. A lock leaves the key alone
(`no_key`), so a row that refers to the locked one, an audit event say, can be written by somebody else meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from django.db import IntegrityError

from migrations_app.errors import Blocker, InvalidInput, Refused
from migrations_app.models import App, AppMigration, SourceReplica


def refuse(blockers: list[Blocker]) -> None:
    if blockers:
        raise Refused(blockers)


def given(reason: str, what_for: str) -> str:
    """The reason, without blanks around it. InvalidInput if there is none."""
    if not reason.strip():
        raise InvalidInput(
            f"reason is empty: {what_for} needs one.",
            hint="Say why, for those who look at it later.",
            code="reason_missing",
        )
    return reason.strip()


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """What the constraints on simultaneous moves say, in the rule's words: a race got past the rule."""
    try:
        yield
    except IntegrityError as error:
        violated = error.__cause__.diag.constraint_name if isinstance(error.__cause__, psycopg.Error) else ""
        if violated not in ("one_active_move_per_app", "one_reverse_per_move"):
            raise
        raise Refused(
            [Blocker("move_active", "Another move of this app was requested at the same moment.", "Look at that one.")]
        ) from error


def locked_app(app: App) -> App:
    return App.objects.select_for_update(of=("self",), no_key=True).select_related("region").get(pk=app.pk)


def locked_move(move: AppMigration) -> AppMigration:
    return (
        AppMigration.objects.select_for_update(of=("self",), no_key=True)
        .select_related("app__region", "source_region", "dest_region", "source_replica", "requested_by")
        .get(pk=move.pk)
    )


def locked_replica(move: AppMigration) -> SourceReplica | None:
    replicas = SourceReplica.objects.select_for_update(of=("self",), no_key=True)
    return replicas.select_related("region").filter(migration=move).first()

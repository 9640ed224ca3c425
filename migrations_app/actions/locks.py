"""What the actions share: row locks, the reason everybody has to give, and refusals.

Locks are taken in the order app, move, replica; a runner locks the move and, at the pivot, the app. So an action that
locks the app never locks a move that may be at its pivot.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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
    """What the constraint on active moves says, in the rule's words: a race got past the rule."""
    try:
        yield
    except IntegrityError as error:
        raise Refused(
            [Blocker("move_active", "Another move of this app was requested at the same moment.", "Look at that one.")]
        ) from error


def locked_app(app: App) -> App:
    return App.objects.select_for_update(of=("self",)).select_related("region").get(pk=app.pk)


def locked_move(move: AppMigration) -> AppMigration:
    return (
        AppMigration.objects.select_for_update(of=("self",))
        .select_related("app", "source_region", "dest_region")
        .get(pk=move.pk)
    )


def locked_replica(move: AppMigration) -> SourceReplica | None:
    return SourceReplica.objects.select_for_update(of=("self",)).select_related("region").filter(migration=move).first()

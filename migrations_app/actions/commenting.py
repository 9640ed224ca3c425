"""What people have to say about a move. It changes nothing."""

from __future__ import annotations

from uuid import UUID

from django.contrib.auth.models import User
from django.db import transaction

from migrations_app import permissions, queries, rules
from migrations_app.errors import InvalidInput
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb
from migrations_app.transitions import record


def comment(*, move_id: UUID | str, acting_user: User | None, text: str) -> AppMigration:
    """Put a comment on the move's trail, whatever state the move is in. Nobody takes it back: the trail only grows."""
    move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.COMMENT, move)
    text = text.replace("\r\n", "\n").strip()
    problem = rules.comment_problem(text)
    if problem:
        raise InvalidInput(problem.reason, hint=problem.hint, code=problem.code)
    with transaction.atomic():
        record(queries.COMMENT, migration=move, actor=acting_user, reason=text)
    return move

"""Asking for a move, and for the way back."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import URLValidator
from django.db import transaction

from migrations_app import approvals, bell, estimates, permissions, queries, rules
from migrations_app.actions import going_back
from migrations_app.actions.locks import given, locked_app, locked_replica, one_at_a_time, refuse
from migrations_app.clock import database_now
from migrations_app.drafting import draft
from migrations_app.errors import InvalidInput
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb
from migrations_app.preflight import look
from migrations_app.states import Act, Kind, Status, Strategy
from migrations_app.transitions import record

_LONGEST_BLOCK_SECONDS = 24 * 3600


def request_move(
    *,
    app_slug: str,
    dest_slug: str,
    acting_user: User | None,
    reason: str,
    strategy: str = Strategy.SNAPSHOT,
    ticket_url: str = "",
    not_before: datetime | None = None,
    block_budget_seconds: int | None = None,
    rehearse: bool = False,
) -> AppMigration:
    """Ask for a move: `awaiting_approval`, or `queued` where policy asks for nobody else.

    `strategy`: snapshot, live, or auto, which preflight decides on. `rehearse`: all that the live plan does before it
    would block writes, and then it is undone; the strategy is of no interest then.

    Raises NotFound, Forbidden, InvalidInput or Refused; nothing is written then.
    """
    app = queries.app(app_slug, viewer=acting_user)
    permissions.require(acting_user, Verb.REQUEST, app)
    reason = given(reason, "a move")
    dest = queries.region(dest_slug)
    _check_ticket(ticket_url)
    if not_before and not_before < database_now():
        raise InvalidInput(
            f"not_before {not_before.isoformat()} is in the past.",
            hint="Give a time to come, or none to begin as soon as possible.",
            code="invalid_time",
        )
    if block_budget_seconds is not None and not 1 <= block_budget_seconds <= _LONGEST_BLOCK_SECONDS:
        raise InvalidInput(
            f"block_budget_seconds is {block_budget_seconds}.",
            hint=f"Give 1 to {_LONGEST_BLOCK_SECONDS} seconds, or none to go by the settings.",
            code="invalid_block_budget",
        )
    wanted = draft(
        app,
        dest,
        strategy,
        rehearse=rehearse,
        requested_by=acting_user,
        reason=reason,
        ticket_url=ticket_url,
        not_before=not_before,
        due_at=not_before,
        block_budget_seconds=block_budget_seconds,
    )
    _look_before_asking(wanted, Act.MOVE)
    with one_at_a_time(), transaction.atomic():
        wanted.app = locked_app(app)
        wanted.source_region, wanted.dest_region = wanted.app.region, queries.region(dest_slug)
        refuse(rules.forbids_move(wanted.app.move_facts(wanted.dest_region)))
        _put_on_the_books(wanted, Act.MOVE, verb="request")
    wanted.refresh_from_db()
    return wanted


def reverse(*, move_id: UUID | str, acting_user: User | None, reason: str) -> AppMigration:
    """Bring the app back to the region a move took it from. Itself a move, of kind reverse; a move that is held before
    its destination took writes is undone instead, and is what comes back."""
    reversed_move = queries.move(move_id, viewer=acting_user)
    permissions.require(acting_user, Verb.REVERSE, reversed_move)
    reason = given(reason, "a reverse")
    if reversed_move.status == Status.HELD and reversed_move.pivot_at:
        return going_back.from_held(reversed_move, acting_user=acting_user, reason=reason)
    wanted = going_back.reverse_of(reversed_move, acting_user, reason)
    dest = wanted.dest_region
    replica = getattr(reversed_move, "source_replica", None)
    refuse(rules.forbids_reverse(reversed_move, replica, wanted.app.move_facts(dest, Kind.REVERSE)))
    _look_before_asking(wanted, Act.REVERSE)
    with one_at_a_time(), transaction.atomic():
        wanted.app = locked_app(reversed_move.app)
        wanted.source_region = wanted.app.region
        facts = wanted.app.move_facts(dest, Kind.REVERSE)
        refuse(rules.forbids_reverse(reversed_move, locked_replica(reversed_move), facts))
        _put_on_the_books(wanted, Act.REVERSE, verb="reverse")
    wanted.refresh_from_db()
    return wanted


def _look_before_asking(wanted: AppMigration, act: Act) -> None:
    """Preflight, for whoever is to approve it. It looks into the regions, so no lock is held meanwhile."""
    if approvals.is_needed(act):
        wanted.preflight = look(wanted)
        refuse(rules.forbids_by_preflight(wanted.preflight))


def _put_on_the_books(wanted: AppMigration, act: Act, *, verb: str) -> None:
    needs_approval = approvals.is_needed(act)
    wanted.status = Status.AWAITING_APPROVAL if needs_approval else Status.QUEUED
    wanted.estimate = estimates.estimate(wanted, wanted.preflight)
    wanted.save(force_insert=True)
    record(verb, migration=wanted, actor=wanted.requested_by, to_status=wanted.status, reason=_with_ticket(wanted))
    if needs_approval:
        approvals.ask(
            wanted,
            act,
            requested_by=wanted.requested_by,
            reason=wanted.reason,
            subject=approvals.subject_of(wanted, act, wanted.preflight),
        )
    else:
        bell.ring_on_commit(bell.RUN_MOVE, wanted.pk, wanted.dest_region.slug)


def _with_ticket(move: AppMigration) -> str:
    return f"{move.reason} ({move.ticket_url})" if move.ticket_url else move.reason


def _check_ticket(url: Any) -> None:
    if not url:
        return
    try:
        URLValidator(schemes=["http", "https"])(url)
    except ValidationError as error:
        raise InvalidInput(
            f"ticket {url} is not a web address.", hint="Give all of it: https://…", code="invalid_ticket"
        ) from error

"""What may be done now: with a move and its replica, by whom, and where an app may go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from django.contrib.auth.models import User

from migrations_app import approvals, rules
from migrations_app.clock import database_now
from migrations_app.errors import Blocker
from migrations_app.models import App, AppMigration, Approval, Region
from migrations_app.permissions import ABOUT_A_REQUEST, Verb, can
from migrations_app.queries import every_region
from migrations_app.states import Act, Kind, ReplicaState
from migrations_app.window import windows_meet


@dataclass(frozen=True)
class Offer:
    """A verb the user has the right to; `blockers` are what the rules say against it now."""

    verb: Verb
    blockers: list[Blocker]
    act: Act | None = None
    """What is decided on, for approve, reject and withdraw."""


def of_move(row: AppMigration, *, user: User | None) -> list[Offer]:
    """What this user may do with the move and its replica; the decisions only while something waits for one."""
    return about(row, approvals.open_of(row), database_now(), user=user)


def about(row: AppMigration, waiting: Approval | None, now: datetime, *, user: User | None) -> list[Offer]:
    """of_move(), where it is known already what waits for a decision, and what time it is."""
    replica = getattr(row, "source_replica", None)
    # Only what is retained can be gone back to or given up: of all else nobody has to ask what the app does now.
    is_kept = replica is not None and replica.state == ReplicaState.RETAINED
    nothing = rules.MoveFacts(row.app, row.source_region, Kind.REVERSE, active=None, replica=None)
    facts = row.app.move_facts(row.source_region, Kind.REVERSE) if is_kept else nothing
    against = {
        Verb.APPROVE: lambda: (
            rules.forbids_approval(waiting, row, now, user) + rules.forbids_by_preflight(row.preflight)
        ),
        Verb.REJECT: lambda: rules.forbids_decision(waiting, row, now),
        Verb.WITHDRAW: lambda: rules.forbids_withdrawal(waiting, row, now, user),
        Verb.ABORT: lambda: rules.forbids_abort(row),
        Verb.RETRY: lambda: rules.forbids_retry(row),
        Verb.REVERSE: lambda: rules.forbids_reverse(row, replica, facts),
        Verb.TEARDOWN: lambda: rules.forbids_teardown(row, replica, facts.active),
        Verb.KEEP: lambda: rules.forbids_use_of(replica, "kept"),
    }
    found = []
    for verb, forbids in against.items():
        if not can(user, verb, row) or (verb in ABOUT_A_REQUEST and waiting is None):
            continue
        blockers = forbids()
        if verb in (Verb.ABORT, Verb.RETRY, Verb.TEARDOWN) and approvals.is_needed(Act(verb)) and not blockers:
            blockers = rules.forbids_asking_twice(waiting)
        found.append(Offer(verb, blockers, Act(waiting.act) if waiting and verb in ABOUT_A_REQUEST else None))
    return found


def destinations(wanted: App, known: Iterable[Region] | None = None) -> list[tuple[Region, list[Blocker]]]:
    """Every region, those that are `known` or read now, with what forbids a move of the app there now."""
    facts = wanted.move_facts(wanted.region)
    here = wanted.region
    return [
        (
            dest,
            rules.forbids_move(
                replace(facts, dest=dest, windows_meet=here == dest or windows_meet(here.window, dest.window))
            ),
        )
        for dest in (every_region() if known is None else known)
    ]

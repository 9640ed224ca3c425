"""What the page before a deed says will happen; and whether it is still so when the deed is sent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any
from uuid import UUID

from django.contrib.auth.models import User

from migrations_app import approvals, offers, permissions, queries, rules
from migrations_app.clock import database_now
from migrations_app.consequences import asks_first, consequences
from migrations_app.dashboard.approving import closed
from migrations_app.dashboard.outcome import NOT_BEGUN, Path, outcome
from migrations_app.errors import Blocker
from migrations_app.models import AppMigration, Approval
from migrations_app.offers import Offer
from migrations_app.permissions import ABOUT_A_REQUEST, Verb
from migrations_app.states import Act, ApprovalState, Status

CHANGED = Blocker("changed_since_seen", "What will happen has changed since you looked.", "Read it again.")


@dataclass(frozen=True)
class Foretold:
    """The move as it is `at` a time, and what the verb would bring about. `approval` and its `act`: what is decided on;
    None where nothing waits, or the verb is no decision. With `blockers` it would do nothing, and nothing is said."""

    verb: Verb
    move: AppMigration
    approval: Approval | None
    act: Act | None
    at: datetime
    offers: Mapping[Verb, Offer]
    blockers: list[Blocker]
    sentences: list[str]
    outcome: list[Path]
    asks_first: str
    stopped_by: str

    @property
    def said(self) -> str:
        """A digest of what the page says. Nothing in it ticks. An abort is not refused because a step has begun
        meanwhile: it has to work while steps take a second each, and undoes whatever there is."""
        told: list[Any] = [self.sentences, self.outcome, self.asks_first, self.stopped_by]
        if self.verb is Verb.ABORT:
            told = [self.move.status in NOT_BEGUN, self.asks_first]
        return blake2b(json.dumps(told).encode(), digest_size=16).hexdigest()

    def closed_request(self, sent: Mapping[str, str]) -> Approval | None:
        """What was decided on, if that does not wait for a decision any more."""
        if self.verb not in ABOUT_A_REQUEST or not sent.get("approval"):
            return None
        asked = (approval for approval in queries.approvals_of(self.move) if str(approval.pk) == sent["approval"])
        return next((approval for approval in asked if approval.state != ApprovalState.OPEN), None)

    def changed_since(self, sent: Mapping[str, str]) -> list[Blocker]:
        """What is different from the page whose form was sent. What the rules forbid by now, they say themselves."""
        if self.verb in ABOUT_A_REQUEST:
            past = self.closed_request(sent)
            if past:
                return [closed(past, follows=self.approval is not None)]
            is_same = self.approval is None or sent.get("approval") == str(self.approval.pk)
        else:
            is_same = bool(self.blockers) or sent.get("said") == self.said
        return [] if is_same else [CHANGED]


def foretell(move_id: UUID, verb: Verb, user: User, *, looked: tuple[AppMigration, Approval] | None = None) -> Foretold:
    """How it is now; and not older than the fingerprint, which is read first, or together with it (`looked`): an
    approval of anything that changes in between is refused."""
    waiting = looked[1] if looked else approvals.open_of(AppMigration(pk=move_id))
    move = looked[0] if looked else queries.move(move_id, viewer=user)
    now = database_now()
    permissions.require(user, verb, move)
    offered = {offer.verb: offer for offer in offers.about(move, waiting, now, user=user)}
    offer = offered.get(verb)
    blockers = offer.blockers if offer else rules.forbids_decision(None, move, now)
    act = offer.act if offer else None
    return Foretold(
        verb=verb,
        move=move,
        approval=waiting if verb in ABOUT_A_REQUEST else None,
        act=act,
        at=now,
        offers=offered,
        blockers=blockers,
        sentences=[] if blockers else consequences(verb, move, act=act),
        outcome=[] if blockers else outcome(verb, act, move),
        asks_first="" if verb in ABOUT_A_REQUEST else asks_first(verb),
        stopped_by=move.last_error if move.status == Status.HELD and not blockers else "",
    )

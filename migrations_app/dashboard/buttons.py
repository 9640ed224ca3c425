"""The verbs as buttons, each leading to the page that says what it would do."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from uuid import UUID

from django.contrib.auth.models import User
from django.urls import reverse

from migrations_app.consequences import blocked_by_a_reverse, met_by_a_reverse
from migrations_app.errors import Blocker
from migrations_app.models import AppMigration
from migrations_app.offers import Offer
from migrations_app.permissions import DECISIONS, Verb
from migrations_app.states import STARTS, Act, Kind, Status

_DANGEROUS = frozenset({Act.ABORT, Act.TEARDOWN})
_OPERATORS = (Verb.ABORT, Verb.RETRY, Verb.REVERSE, Verb.TEARDOWN)


@dataclass(frozen=True)
class Button:
    """`effect`: what comes of it, in a line. With blockers it is shown, with why, and leads nowhere."""

    label: str
    url: str
    blockers: list[Blocker]
    dangerous: bool = False
    effect: str = ""
    is_lacking: bool = False
    """The user's role does not allow it, now or later."""


def label_of(verb: Verb, act: Act | None = None) -> str:
    """What the button says: the verb, and what it decides on."""
    return f"{verb.label} the {act}" if act else str(verb.label)


def _leads_to(offer: Offer) -> str:
    """What the button says; the page of some asks for more before anything can be done."""
    return "Keep until…" if offer.verb is Verb.KEEP else label_of(offer.verb, offer.act)


def address_of(verb: Verb, move: AppMigration) -> str:
    before, after = _around_id(verb)
    return f"{before}{move.pk}{after}"


@cache
def _around_id(verb: Verb) -> list[str]:
    """What of the address stands before the id and what behind it: a page has dozens of them."""
    some = UUID(int=0)
    return reverse(f"admin:migrations_app_appmigration_{verb}", args=[some]).split(str(some))


def is_dangerous(verb: Verb, act: Act | None = None) -> bool:
    """Whether it ends or destroys something: to approve a teardown does, to reject one does not."""
    if verb is Verb.REJECT:
        return act in STARTS
    return (act if verb is Verb.APPROVE else verb.value) in _DANGEROUS


def buttons_of(
    move: AppMigration, user: User, offers: list[Offer], *, only: Collection[str] | None = None
) -> list[Button]:
    """Of what offers.about() found, the possible first; then the operator's verbs that the user has no right to, with
    that as the reason. `only` those verbs, and the decisions on them.

    What others asked for is not the user's to withdraw, now or later: no button. Nor is there one to keep a replica
    that is not there to be kept: that of the teardown says so already.
    """
    known = {offer.verb for offer in offers}
    lacking = [
        Button(label_of(verb), "", [Blocker("forbidden", "Your role does not allow it.")], is_lacking=True)
        for verb in _OPERATORS
        if verb not in known and (only is None or verb in only)
    ]
    shown = [
        offer
        for offer in _one_for_each_effect(offers)
        if (only is None or (offer.act or offer.verb) in only)
        and "not_own_request" not in [blocker.code for blocker in offer.blockers]
        and not (offer.verb is Verb.KEEP and offer.blockers)
    ]
    return [
        Button(
            _leads_to(offer),
            address_of(offer.verb, move),
            offer.blockers,
            is_dangerous(offer.verb, offer.act),
            "" if offer.blockers else _effect(offer, move),
        )
        for offer in sorted(shown, key=_place)
    ] + lacking


def _place(offer: Offer) -> tuple[bool, bool, bool]:
    """What cannot be done now stands last, and before it, apart, what nobody can undo."""
    return bool(offer.blockers), offer.verb is Verb.TEARDOWN, offer.verb not in DECISIONS


def _effect(offer: Offer, move: AppMigration) -> str:
    app, source = move.app, move.source_region
    if offer.verb is Verb.APPROVE:
        return f"The {offer.act} begins as soon as nothing stands in the way. The next page says all about it."
    if offer.verb in (Verb.REJECT, Verb.WITHDRAW):
        return f"The {offer.act} does not happen. Nothing changes."
    if offer.verb is Verb.ABORT and move.status in (Status.AWAITING_APPROVAL, Status.QUEUED):
        return f"Nothing has begun: {app} stays in {source}."
    return {
        Verb.ABORT: f"Everything is undone, and {app} goes on in {source}.",
        Verb.RETRY: f"It goes on where it stopped{_how_far(move)}. If the cause is still there, it is held again.",
        Verb.REVERSE: _effect_of_reverse(move),
        Verb.TEARDOWN: f"For good: what is left in {source} is dropped, and with it the way back.",
        Verb.KEEP: "The replica stays, and with it the way back. Somebody looks again on the day you choose.",
    }[offer.verb]


def _how_far(move: AppMigration) -> str:
    """Of a retry: nobody is asked again before there is only forward."""
    return "" if move.pivot_at or move.ends_as or move.kind == Kind.REHEARSAL else ", through the block and the switch"


def _effect_of_reverse(move: AppMigration) -> str:
    """With what it costs. How long earlier ones blocked writes its page says: here that would be one more question to
    the database, every two seconds."""
    blocked = (
        "Its writes are blocked until it is there."
        if move.status == Status.HELD
        else f"For the switch its writes are blocked, for {blocked_by_a_reverse()} at most."
    )
    lost = f"Nothing that was written in {move.dest_region} is lost."
    sentences = [f"{move.app} goes back to {move.source_region}.", blocked, lost, met_by_a_reverse(move)]
    return " ".join(filter(None, sentences))


def _one_for_each_effect(offers: list[Offer]) -> list[Offer]:
    """Withdrawn, rejected or aborted, a request comes to the same end: of these the user is shown the first."""
    declining = next(
        (
            offer
            for verb in (Verb.WITHDRAW, Verb.REJECT)
            for offer in offers
            if offer.verb == verb and not offer.blockers
        ),
        None,
    )
    if declining is None:
        return offers
    needless = {Verb.REJECT, Verb.ABORT} if declining.act in STARTS else {Verb.REJECT}
    return [offer for offer in offers if offer is declining or offer.verb not in needless]

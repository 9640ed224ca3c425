"""What the approval page shows beside the facts: in short what is asked for and what may go wrong, and the buttons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from migrations_app import queries
from migrations_app.dashboard.buttons import address_of, label_of
from migrations_app.dashboard.consent import asked_by, begins, bound_to
from migrations_app.dashboard.display import clock, markup, who
from migrations_app.dashboard.risks import headline, rehearsal_of, risks_of, tone_of, way_back
from migrations_app.errors import Blocker
from migrations_app.models import AppMigration, Approval
from migrations_app.offers import Offer
from migrations_app.permissions import Verb
from migrations_app.states import STARTS, Act, ApprovalState, Kind

_NOTHING_FOUND = {"failed": 0, "warned": 0}


def approval_page(
    approval: Approval,
    move: AppMigration,
    offers: Mapping[Verb, Offer],
    findings: dict[str, Any] | None,
    now: datetime,
) -> dict[str, Any]:
    """`sentence, risks, tone`: in short. `begins`, for what starts a move; `rehearsal`, for a move that was rehearsed.
    `way_back`: sentences. `is_own`: the user asked for it, and `withdraw` is where to take it back. `may_reject`."""
    act = Act(approval.act)
    starts = act in STARTS
    is_move = starts and move.kind == Kind.MOVE
    last = rehearsal_of(queries.last_rehearsal(move)) if is_move else None
    risks = risks_of(act, move, findings=findings or _NOTHING_FOUND, estimate=move.estimate, last=last)
    mine, reject = offers.get(Verb.APPROVE), offers.get(Verb.REJECT)
    is_own = mine is not None and "own_request" in [blocker.code for blocker in mine.blockers]
    return {
        "asked_by": asked_by(approval),
        "sentence": headline(act, move),
        "risks": risks,
        "tone": tone_of(risks),
        "begins": begins(move, now) if starts else None,
        "rehearsal": last,
        "way_back": way_back(act, move),
        "is_own": is_own,
        "withdraw": address_of(Verb.WITHDRAW, move) if is_own else "",
        "may_reject": reject is not None and not reject.blockers and not is_own,
        "reject_label": label_of(Verb.REJECT, act),
        "seen": approval.fingerprint,
        "bound_to": bound_to(approval),
        "starts": starts,
    }


def closed(approval: Approval, *, follows: bool) -> Blocker:
    """What became of a request, for whoever decides on it too late; `follows`: another one waits by now."""
    act, state, by = approval.act, approval.state, approval.decided_by
    if state == ApprovalState.EXPIRED:
        said = markup("The request for this {} expired at {}.", act, clock(approval.expires_at))
    elif state == ApprovalState.VOID:
        said = markup("The request for this {} became void.", act)
    else:
        name = who(by.get_username() if by else None)
        said = markup("This {} was {} by {} at {}.", act, state, name, clock(approval.decided_at))
    hint = "Another request waits by now: read it before you decide." if follows else "There is nothing to decide."
    return Blocker("decided_meanwhile", said, hint)

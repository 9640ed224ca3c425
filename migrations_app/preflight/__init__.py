"""Read-only checks before a move: what would make it fail, found before anything is changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from migrations_app.errors import PermanentError, StepError, TransientError
from migrations_app.models import AppMigration
from migrations_app.move import Move
from migrations_app.preflight import strategy
from migrations_app.preflight.finding import Finding
from migrations_app.preflight.looking import Check, findings_of, look_everywhere
from migrations_app.preflight.sight import sight_of
from migrations_app.preflight.table import CHECKS, MAY_HAVE_CHANGED
from migrations_app.preflight.unwritten import Unwritten
from migrations_app.states import Strategy

__all__ = ["Finding", "Unwritten", "choose_strategy", "look", "preflight", "refuse", "refuse_what_has_changed"]


class Unanswered(TransientError):
    """Something did not answer that may soon. `findings`: what all checks found, those that got no answer too."""

    def __init__(self, error: TransientError, findings: list[Finding]) -> None:
        super().__init__(error.reason, hint=error.hint, code=error.code)
        self.findings = findings


def preflight(move: Move, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """What every check finds, in the table's order. Takes a second or two; nothing is changed.

    A check that is refused what it looks at fails with that as its finding. Errors: Unanswered, when something does
    not answer: that says nothing about the move.
    """
    sight = sight_of(move)
    answers = look_everywhere(checks, sight, poll=move.check)
    findings = [
        finding for check in checks if check.id in answers for finding in findings_of(check, answers[check.id], sight)
    ]
    for answer in answers.values():
        if isinstance(answer, TransientError):
            raise Unanswered(answer, findings)
    return findings


def refuse(move: Move, checks: Sequence[Check] = CHECKS) -> list[Finding]:
    """preflight() for a step: the log says what is not well. Errors: PermanentError `preflight_failed`; Unanswered."""
    findings = preflight(move, checks)
    for finding in findings:
        if finding.outcome != "pass":
            move.act(f"{finding.outcome} {finding.id} {finding.check}: {finding.found}")
    failed = [finding for finding in findings if finding.outcome == "fail"]
    if failed:
        raise PermanentError(
            " ".join(finding.found for finding in failed),
            hint=" ".join(finding.remedy for finding in failed),
            code="preflight_failed",
        )
    return findings


def refuse_what_has_changed(move: Move) -> None:
    """refuse(), once more before writes are blocked."""
    refuse(move, [check for check in CHECKS if check.id in MAY_HAVE_CHANGED])


def look(row: AppMigration) -> list[dict[str, Any]]:
    """What preflight finds for the move now, on the books or not: a Finding's fields each, in the table's order.

    What does not answer is a finding too. Takes a second or two; hold no lock meanwhile.
    """
    try:
        findings = preflight(Unwritten(row))
    except Unanswered as error:
        findings = error.findings
    except StepError as error:
        findings = [Finding("reachability", "fail", error.reason, remedy=error.hint or "Try again in a while.")]
    return [vars(finding) for finding in findings]


def choose_strategy(row: AppMigration) -> tuple[Strategy, str]:
    """What `auto` stands for, for this move as things are now: live if it is possible, else snapshot; and why, in a
    sentence. Looks as look() does."""
    return strategy.choose(look(strategy.as_live(row)))

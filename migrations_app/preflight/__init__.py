"""Read-only checks before a move: what would make it fail, found before anything is changed."""

from __future__ import annotations

from migrations_app.errors import StepError
from migrations_app.models import AppMigration
from migrations_app.preflight.checks import Finding, preflight
from migrations_app.preflight.unwritten import Unwritten
from migrations_app.states import Strategy

__all__ = ["Finding", "Unwritten", "look", "preflight"]


def choose_strategy(row: AppMigration) -> tuple[Strategy, str]:
    return Strategy.LIVE, "Nothing forbids it."


def look(row: AppMigration) -> list[dict[str, str]]:
    """What preflight finds for the move now, on the books or not: `[{check, outcome, found, why, remedy}]`.

    A region that does not answer is a finding too. Takes about a second; hold no lock meanwhile.
    """
    try:
        findings = preflight(Unwritten(row))
    except StepError as error:
        findings = [Finding("reachability", "fail", error.reason, remedy=error.hint or "Try again in a while.")]
    return [vars(finding) for finding in findings]

"""What `auto` stands for."""

from __future__ import annotations

from collections.abc import Iterable
from copy import copy
from typing import Any

from migrations_app.models import AppMigration
from migrations_app.preflight.table import LIVE_ONLY
from migrations_app.states import Strategy


def as_live(row: AppMigration) -> AppMigration:
    """The same move, if it were live; the row is left as it is."""
    live = copy(row)
    live.strategy = Strategy.LIVE
    return live


def choose(findings: Iterable[dict[str, Any]]) -> tuple[Strategy, str]:
    """Live, if what was found for a live move does not say that it is impossible; and why, in a sentence."""
    found = list(findings)
    failed = [finding for finding in found if finding["outcome"] == "fail"]
    against = [finding for finding in failed if finding["id"] in LIVE_ONLY]
    if against:
        return Strategy.SNAPSHOT, f"live is not possible: {_words(against[0])}"
    if LIVE_ONLY - {finding["id"] for finding in found}:
        why = _words(failed[0]) if failed else "not everything could be looked at."
        return Strategy.SNAPSHOT, f"Nobody knows whether live is possible: {why}"
    return Strategy.LIVE, "Nothing that preflight found makes live impossible."


def _words(finding: dict[str, Any]) -> str:
    return f"{finding['id']} {finding['found']}"

"""What preflight and the comparison found, as rows of a table."""

from __future__ import annotations

from typing import Any

from migrations_app.admin.display import badge
from migrations_app.models import AppMigration


def findings_of(move: AppMigration, *, bound: list[list[str]] | None = None) -> dict[str, Any]:
    """What preflight found: `problems`, the worst first, and the names of the checks that `passed`. `bound` are the
    problems that an approval is bound to, each as its check, outcome and what it found: those, and no others."""
    problems = [finding for finding in move.preflight if finding["outcome"] != "pass"]
    if bound is not None:
        advice = {(finding["check"], finding["outcome"], finding["found"]): finding for finding in problems}
        problems = [advice.get((c, o, f), {"check": c, "outcome": o, "found": f}) for c, o, f in bound]
    return {
        "problems": [
            {**finding, "check": _words(finding["check"]), "badge": badge(finding["outcome"])}
            for finding in sorted(problems, key=lambda finding: finding["outcome"] != "fail")
        ],
        "passed": [_words(finding["check"]) for finding in move.preflight if finding["outcome"] == "pass"],
        "pass": badge("pass", "passed"),
    }


def _words(check: str) -> str:
    return check.replace("_", " ")


def comparison_of(move: AppMigration) -> dict[str, Any] | None:
    """The comparison before the pivot, what differs apart from what is equal; None: it has not come to that."""
    report = move.verification
    if not report:
        return None
    return {
        "badge": badge("equal" if report["equal"] else "differs"),
        "rows": report["rows"],
        "seconds": report["seconds"],
        "differing": [finding for finding in report["findings"] if not finding["equal"]],
        "equal": [finding for finding in report["findings"] if finding["equal"]],
    }

"""What preflight and the comparison found, as rows of a table."""

from __future__ import annotations

from typing import Any

from migrations_app.approvals import bound_to
from migrations_app.dashboard.display import badge
from migrations_app.models import AppMigration


def findings_of(move: AppMigration, *, bound: list[list[str]] | None = None) -> dict[str, Any]:
    """What preflight found for the move, as findings_in(). `bound` are the problems that an approval is bound to, as
    approvals.bound_to() words them: those, and what binds to nothing."""
    problems = [finding for finding in move.preflight if finding["outcome"] != "pass"]
    if bound is not None:
        advice = {tuple(bound_to(finding)): finding for finding in problems}
        problems = [
            *(advice.get((c, o, f), {"check": c, "outcome": o, "found": f}) for c, o, f in bound),
            *(finding for finding in problems if finding.get("about") == ""),
        ]
    return findings_in([*problems, *(finding for finding in move.preflight if finding["outcome"] == "pass")])


def findings_in(found: list[dict[str, Any]]) -> dict[str, Any]:
    """`problems`, the worst first; the names of the checks that `passed`; how many would make it fail (`failed`), and
    are to be known before (`warned`)."""
    problems = [finding for finding in found if finding["outcome"] != "pass"]
    failed = sum(finding["outcome"] == "fail" for finding in problems)
    return {
        "problems": [
            {**finding, "check": _words(finding["check"], finding.get("id", "")), "badge": badge(finding["outcome"])}
            for finding in sorted(problems, key=lambda finding: finding["outcome"] != "fail")
        ],
        "passed": list(dict.fromkeys(_words(f["check"]) for f in found if f["outcome"] == "pass")),
        "pass": badge("pass", "passed"),
        "failed": failed,
        "warned": len(problems) - failed,
    }


def _words(check: str, id: str = "") -> str:
    return f"{id} {check.replace('_', ' ')}".strip()


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
        "equal": (equal := [finding for finding in report["findings"] if finding["equal"]]),
        "equal_count": len(equal),
    }

"""What preflight and the comparison found, as rows of a table."""

from __future__ import annotations

from typing import Any

from migrations_app.admin.display import badge
from migrations_app.models import AppMigration


def findings_of(move: AppMigration) -> dict[str, Any]:
    """What preflight found: `problems`, the worst first, and the names of the checks that `passed`."""
    found = [{**finding, "check": finding["check"].replace("_", " ")} for finding in move.preflight]
    problems = [finding for finding in found if finding["outcome"] != "pass"]
    return {
        "problems": [
            {**finding, "badge": badge(finding["outcome"])}
            for finding in sorted(problems, key=lambda finding: finding["outcome"] != "fail")
        ],
        "passed": [finding["check"] for finding in found if finding["outcome"] == "pass"],
        "pass": badge("pass", "passed"),
    }


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

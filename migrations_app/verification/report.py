"""The outcome of comparing both sides, row by row; kept with the move as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing compared: a table, a sequence, an object of the schema, a role …"""

    kind: str
    name: str
    equal: bool
    source: str
    dest: str


@dataclass
class Report:
    """Everything compared. `rows` counts the rows of all tables at the source."""

    findings: list[Finding] = field(default_factory=list)
    rows: int = 0
    seconds: float = 0.0

    def add(self, kind: str, name: str, source: object, dest: object) -> None:
        self.findings.append(Finding(kind, name, source == dest, str(source), str(dest)))

    @property
    def equal(self) -> bool:
        return all(finding.equal for finding in self.findings)

    @property
    def differences(self) -> list[Finding]:
        return [finding for finding in self.findings if not finding.equal]

    def sentence(self) -> str:
        """For the log: what was compared, or what differs first."""
        if self.equal:
            compared = f"Compared {len(self.findings)} things and {self.rows} rows on both sides"
            return f"{compared}: equal ({self.seconds:.2f} s)."
        first = ", ".join(f"{finding.kind} {finding.name}" for finding in self.differences[:5])
        more = len(self.differences) - 5
        return f"The two sides differ in {first}{f' and {more} more' if more > 0 else ''}."

    def as_json(self) -> dict[str, Any]:
        return {
            "equal": self.equal,
            "rows": self.rows,
            "seconds": round(self.seconds, 3),
            "findings": [asdict(finding) for finding in self.findings],
        }

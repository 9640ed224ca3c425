"""The outcome of comparing both sides, row by row; kept with the move as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import TextChoices
from django.utils import timezone


class Depth(TextChoices):
    """How much of the rows is read: all, every tenth chunk and what was written meanwhile, or none."""

    FULL = "full"
    SAMPLE = "sample"
    SCHEMA = "schema"


_SAID = {Depth.FULL: "", Depth.SAMPLE: " of a sample", Depth.SCHEMA: ", the rows themselves not looked at"}


@dataclass(frozen=True)
class Finding:
    """One thing compared: a table, a row, a sequence, an object of the schema, a role …"""

    kind: str
    name: str
    equal: bool
    source: str
    dest: str


@dataclass
class Report:
    """Everything compared. `rows` counts those of all chunks at the source, `rows_in_block` those compared while writes
    were blocked. `not_carried`: what no stream brings to the other side, so that it is not compared. `unsettled`: what
    was written to all the time. Neither is a difference.
    """

    findings: list[Finding] = field(default_factory=list)
    depth: Depth = Depth.FULL
    at: datetime = field(default_factory=timezone.now)
    rows: int = 0
    chunks: int = 0
    seconds: float = 0.0
    rows_in_block: int = 0
    seconds_in_block: float = 0.0
    not_carried: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)

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
            compared = f"Compared {len(self.findings)} things and {self.rows} rows{_SAID[self.depth]} on both sides"
            block = f", {self.rows_in_block} rows of them in {self.seconds_in_block:.2f} s of the block"
            return f"{compared}: equal ({self.seconds:.2f} s{block if self.seconds_in_block else ''})."
        first = ", ".join(f"{finding.kind} {finding.name}" for finding in self.differences[:5])
        more = len(self.differences) - 5
        return f"The two sides differ in {first}{f' and {more} more' if more > 0 else ''}."

    def as_json(self) -> dict[str, Any]:
        return {
            "equal": self.equal,
            "at": self.at.isoformat(),
            "depth": self.depth.value,
            "rows": self.rows,
            "chunks": self.chunks,
            "seconds": round(self.seconds, 3),
            "rows_in_block": self.rows_in_block,
            "seconds_in_block": round(self.seconds_in_block, 3),
            "not_carried": self.not_carried,
            "unsettled": self.unsettled,
            "findings": [asdict(finding) for finding in self.findings],
        }

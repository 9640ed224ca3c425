"""Where the benches leave their figures: a table on the screen, `bench.json`, and the tables of docs/benchmarks.md.

    python -m tests.bench.report

fills that page from `bench.json` in the current folder. Seconds and megabytes (10**6 bytes) unless a title says
otherwise.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

FIGURES = Path("bench.json")
PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"

Row = dict[str, Any]

TABLES: dict[str, dict[str, str]] = {
    "copy": {
        "megabytes": "MB",
        "way": "copied by",
        "seconds": "seconds",
        "spread": "fastest–slowest",
        "speed": "speed, pgcopydb = 1",
        "note": "",
    },
    "blobs": {
        "kind": "blobs",
        "way": "copied by",
        "seconds": "seconds",
        "spread": "fastest–slowest",
        "speed": "speed, rclone copy = 1",
        "compared": "then compared, seconds",
    },
    "blocked": {
        "megabytes": "MB",
        "way": "moved by",
        "seconds": "writes blocked, seconds",
        "spread": "shortest–longest",
        "gap": "longest gap the writer saw, seconds",
        "rate": "writes/s outside it",
    },
    "pages": {
        "page": "page",
        "requests": "requests",
        "p50": "p50, ms",
        "p95": "p95, ms",
        "longest": "longest, ms",
        "in_turns_p50": "p50 in turns with all",
        "in_turns_p95": "p95 in turns with all",
    },
    "polling": {
        "when": "",
        "requests": "requests",
        "failed": "failed",
        "p50": "p50, ms",
        "p95": "p95, ms",
        "longest": "longest, ms",
        "blocked": "writes blocked, seconds",
    },
    "edge": {
        "strategy": "plan",
        "when": "",
        "blocked": "blocked, seconds",
        "reads": "reads",
        "failed_reads": "failed",
        "read_p50": "read p50, ms",
        "read_p99": "p99",
        "acknowledged": "writes",
        "refused": "refused",
        "unknown": "failed",
        "write_p50": "write p50, ms",
        "write_p99": "p99",
    },
}
"""By bench: the columns of its table, and their titles."""


def numbers(name: str, default: str) -> list[int]:
    """The whole numbers, separated by commas, that a variable of the environment holds."""
    return [int(text) for text in os.environ.get(name, default).split(",")]


def median(values: Iterable[float | None]) -> float | None:
    """None when there is no value."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def spread(values: Sequence[float]) -> str:
    """Fastest and slowest."""
    return f"{min(values):.2f}–{max(values):.2f}"


def add(bench: str, rows: Sequence[Row], **about: Any) -> None:
    """Print the rows, and put them with `about` (how it was measured) in the place of what `bench.json` had of it."""
    table = Table(*TABLES[bench].values(), title=bench)
    for row in rows:
        table.add_row(*_cells(bench, row))
    Console(width=140).print(table)
    figures = json.loads(FIGURES.read_text()) if FIGURES.exists() else {}
    machine = {"processors": os.cpu_count(), "system": platform.platform(), "fsync": os.environ.get("SANDBOX_FSYNC")}
    figures[bench] = {"about": {**machine, **about}, "rows": list(rows)}
    FIGURES.write_text(json.dumps(figures, indent=1))


def _cells(bench: str, row: Row) -> list[str]:
    return [_cell(row.get(key)) for key in TABLES[bench]]


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def _markdown(bench: str, rows: Sequence[Row]) -> str:
    titles = list(TABLES[bench].values())
    lines = [titles, ["---"] * len(titles), *(_cells(bench, row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def fill(page: str, figures: dict[str, Any]) -> str:
    """The page with the figures of each bench between `<!-- bench:name -->` and `<!-- end -->`."""

    def table(found: re.Match[str]) -> str:
        bench = found[1]
        if bench not in figures:
            return found[0]
        about = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in figures[bench]["about"].items())
        return f"<!-- bench:{bench} -->\n{_markdown(bench, figures[bench]['rows'])}\n\n{about}.\n<!-- end -->"

    return re.sub(r"<!-- bench:(\w+) -->.*?<!-- end -->", table, page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(fill(PAGE.read_text(), json.loads(FIGURES.read_text())))

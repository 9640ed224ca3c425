"""docs/preflight.md and the table of checks say the same."""

from __future__ import annotations

import re
from pathlib import Path

from migrations_app.preflight.table import CHECKS, MAY_HAVE_CHANGED

PAGE = Path(__file__).resolve().parents[1] / "docs/preflight.md"


def rows() -> list[list[str]]:
    lines = re.findall(r"^\| (PF\d+ \|.*) \|$", PAGE.read_text(), re.MULTILINE)
    return [re.split(r"\s+\|\s+", line) for line in lines]


def test_the_page_has_every_check_in_the_tables_order() -> None:
    listed = [(id, name.replace(" ", "_"), strategy) for id, name, strategy, *_ in rows()]
    assert listed == [(check.id, check.name, "live" if check.live_only else "all") for check in CHECKS]


def test_every_row_of_the_page_is_whole() -> None:
    for row in rows():
        assert len(row) == 7, row
        assert all(row), row


def test_ids_are_unique_and_so_are_names() -> None:
    assert len({check.id for check in CHECKS}) == len({check.name for check in CHECKS}) == len(CHECKS)


def test_what_a_check_needs_comes_before_it() -> None:
    """Else two could wait for each other for ever."""
    seen: set[str] = set()
    for check in CHECKS:
        assert seen.issuperset(check.needs), check.id
        seen.add(check.id)


def test_what_is_looked_at_again_needs_nothing_else() -> None:
    again = [check for check in CHECKS if check.id in MAY_HAVE_CHANGED]
    assert len(again) == len(MAY_HAVE_CHANGED)
    assert all(MAY_HAVE_CHANGED.issuperset(check.needs) for check in again)

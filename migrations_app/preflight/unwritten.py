"""A move that is only looked at."""

from __future__ import annotations

from typing import Any

from migrations_app.models import AppMigration
from migrations_app.move import Move


class Unwritten(Move):
    """A move seen from outside its steps: what it is told is forgotten."""

    def __init__(self, row: AppMigration) -> None:
        self.row = row

    def act(self, text: str) -> None: ...

    def check(self) -> None: ...

    def remember(self, **facts: Any) -> None: ...

    def progress(self, done: int, total: int, unit: str, **details: Any) -> None: ...

    def stamp(self, field: str) -> None: ...

    def keep_report(self, report: dict[str, Any]) -> None: ...

    def pass_pivot(self) -> None: ...

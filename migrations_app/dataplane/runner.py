"""For whom this process works in the regions: a row of the portal, under a fencing token.

A process works on one row at a time, so this is a variable of the module: the threads of a step see it too. Without a
runner (a preflight that a person asked for, a test) nothing here has any effect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from migrations_app.errors import LeaseLost

MARKER = "REGION_MOVER_RUN"
"""Variable in the environment of every subprocess; `Runner.mark` is its value."""

SESSION = "region-mover"
"""application_name of the portal's sessions; behind a space follows the mark of the runner, if there is one."""


@dataclass(frozen=True)
class Runner:
    row: str
    token: int
    lost: Callable[[], bool]
    note: Callable[[str], None]
    """Takes a sentence about what was found of earlier runners."""
    met: set[str] = field(default_factory=set)
    """Connection strings of the clusters where no session of an earlier runner is left."""

    @property
    def mark(self) -> str:
        return f"{self.row}:{self.token}"

    @property
    def session_name(self) -> str:
        return f"{SESSION} {self.mark}"

    def follows(self, mark: str) -> bool:
        """Whether the mark is that of an earlier runner of the same row."""
        row, _, token = mark.rpartition(":")
        return row == self.row and token.isdecimal() and int(token) < self.token

    def follows_session(self, name: str) -> bool:
        """The same, told by a session's application_name."""
        return name.startswith(f"{SESSION} ") and self.follows(name.removeprefix(f"{SESSION} "))


_current: Runner | None = None


def current() -> Runner | None:
    return _current


@contextmanager
def working(runner: Runner) -> Iterator[None]:
    global _current
    previous, _current = _current, runner
    try:
        yield
    finally:
        _current = previous


def check() -> None:
    """Before anything is done in a region. LeaseLost when the row is, or may be, another runner's by now."""
    if _current and _current.lost():
        raise LeaseLost


def environment() -> dict[str, str]:
    """What a subprocess gets on top of this process's environment."""
    return {MARKER: _current.mark} if _current else {}


def session_name() -> str:
    """application_name of a session in a region."""
    return _current.session_name if _current else SESSION

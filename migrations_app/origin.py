"""By which surface, and from where, the portal is being used right now: what the audit trail says beside who."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """`surface`: admin, command, worker, reconciler, api, mcp; `address`: an IP address, or login@host at a shell."""

    surface: str = ""
    address: str = ""

    @property
    def is_token(self) -> bool:
        """A program acts, by a token."""
        return self.surface in ("api", "mcp")


_current: ContextVar[Origin | None] = ContextVar("origin", default=None)


def current() -> Origin:
    return _current.get() or Origin()


@contextmanager
def acting_from(surface: str, address: str) -> Iterator[None]:
    token = _current.set(Origin(surface, address[:100]))
    try:
        yield
    finally:
        _current.reset(token)


def this_shell() -> str:
    """login@host of this process."""
    try:
        login = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        login = "unknown"
    return f"{login}@{socket.gethostname()}"

"""The wish that this process lets go of its row: SIGTERM, as a deployment sends it to the worker, who passes it on."""

from __future__ import annotations

import time

from django.conf import settings

_asked_at: float | None = None


def ask(*_: object) -> None:
    """A signal handler."""
    global _asked_at
    _asked_at = _asked_at or time.monotonic()


def is_wanted(*, blocked: bool) -> bool:
    """Whether to stop now. While writes are blocked, to finish is better than to pause: until the grace is over."""
    if _asked_at is None:
        return False
    return not blocked or time.monotonic() - _asked_at > settings.MOVES_STOP_GRACE_SECONDS

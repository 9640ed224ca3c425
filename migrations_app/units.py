"""Sizes and lengths of time, as people read them."""

from __future__ import annotations

from datetime import timedelta


def span(seconds: float) -> str:
    """A length of time: 4.2 s, 0:12:07."""
    return f"{seconds:.1f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def size(count: int) -> str:
    """In the units of the bill: a GB is 10⁹ bytes."""
    for unit, length in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} bytes"

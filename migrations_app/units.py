"""Sizes and lengths of time, as people read them."""

from __future__ import annotations


def span(seconds: float) -> str:
    """A length of time: 4.2 s, 12 min 07 s, 2 h 07 min, 4 d 3 h."""
    return f"{seconds:.1f} s" if seconds < 59.95 else ticking(round(seconds))


def ticking(seconds: float) -> str:
    """A length of time whose last digit may change every second: 12 s, 3 min 05 s, 2 h 07 min, 4 d 3 h. Never negative.
    static/portal/console.js counts on in the same words."""
    whole = max(0, int(seconds))
    for length, unit, rest, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= length:
            parts = whole % length // rest
            return f"{whole // length} {unit} {parts:02d} {small}" if unit != "d" else f"{whole // length} d {parts} h"
    return f"{whole} s"


def size(count: int) -> str:
    """In the units of the bill: a GB is 10⁹ bytes."""
    for unit, length in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{count} bytes"

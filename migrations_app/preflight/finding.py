"""What a check answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["pass", "warn", "fail"]

_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """One answer of one check. `check` and `id` are put in by who runs it.

    `about`: what of it an approval is bound to, besides id and outcome. None: what was `found`, which then says
    nothing that changes by itself. Empty: nothing, not even that it was found, for it comes and goes.
    `figures`: what was measured, by name: `bytes`, `blobs`, `blob_bytes`.
    """

    check: str
    outcome: Outcome
    found: str
    why: str = ""
    remedy: str = ""
    id: str = ""
    about: str | None = None
    figures: dict[str, int] = field(default_factory=dict)


def passed(found: str, *, why: str = "", figures: dict[str, int] | None = None) -> Finding:
    return Finding("", "pass", found, why, figures=figures or {})


def warned(found: str, remedy: str, why: str = "", *, about: str | None = None) -> Finding:
    return Finding("", "warn", found, why, remedy, about=about)


def failed(found: str, remedy: str, why: str = "") -> Finding:
    return Finding("", "fail", found, why, remedy)


def named(names: Iterable[str]) -> str:
    """The first few, and how many more."""
    listed = list(names)
    more = len(listed) - _NAMED
    return ", ".join(listed) if more <= 0 else f"{', '.join(listed[:_NAMED])} and {more} more"


def counted(count: int, one: str, many: str = "") -> str:
    """`1 table`, `2 tables`."""
    return f"{count} {one if count == 1 else many or one + 's'}"

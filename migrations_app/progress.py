"""How far a step is and how fast: what is kept with a StepRun, and how it is worded.

A step tells (done, total, unit) as often as it likes; a Meter makes of it, about once a second, the JSON of
StepRun.progress:

    unit, done, total       never more done than total
    rows                    rows done; null where none are counted
    blobs                   {done, total}, or null
    rate                    units a second over the last ten seconds; 0 until it is known
    seconds_left            at that rate; null when it is not known, or nothing is left
    lag_bytes, lag_seconds  of the stream that follows; null without one, the seconds also when nothing reads it
    tables                  "schema.table" → {done, total, rows, state}; the 50 that matter most
    samples                 [[seconds since the run began, rate, lag_bytes], …], 120 at most, for charts; the rate is
                            null until it is known, and while something else than bytes is counted
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, TypedDict, Unpack

from migrations_app.units import size, ticking

WRITE_SECONDS = 1.0
_RATE_SECONDS = 10.0
_MOST_TABLES = 50
_MOST_SAMPLES = 120

Lag = tuple[int, float | None]
"""`(bytes, seconds)` that a replica is behind; the seconds are None when nothing reads its slot."""

State = Literal["waiting", "copying", "indexing", "done"]
BUSY = ("copying", "indexing")


@dataclass(frozen=True)
class TableProgress:
    """One table: `done` and `total` in the unit of the whole, `rows` copied so far."""

    done: int
    total: int
    rows: int
    state: State


class Details(TypedDict, total=False):
    """What may be told besides; `blobs` is `(done, total)`."""

    rows: int
    blobs: tuple[int, int]
    lag: Lag
    tables: Mapping[str, TableProgress]


class Tell(Protocol):
    """Takes what is told; Move.progress is one."""

    def __call__(self, done: int, total: int, unit: str, **details: Unpack[Details]) -> None: ...


class Samples:
    """How rate and lag went since the run began. When there is no room for more, every second one is dropped, and from
    then on they come half as often: so few of them cover a run of any length."""

    def __init__(self, began_at: float) -> None:
        self.kept: list[list[float | None]] = []
        self._began_at = began_at
        self._last_at = -math.inf
        self._pace = WRITE_SECONDS

    def add(self, at: float, rate: float | None, lag_bytes: int | None) -> None:
        if at - self._last_at < self._pace or (rate is None and lag_bytes is None):
            return
        if len(self.kept) == _MOST_SAMPLES:
            self.kept = self.kept[::2]
            self._pace *= 2
        self.kept.append([round(at - self._began_at, 1), rate, lag_bytes])
        self._last_at = at


class Meter:
    """Of one StepRun: what to write and when, with the rate from when how much was done.

    `began_at`: when the run began, on the clock of take().
    """

    def __init__(self, began_at: float = 0.0) -> None:
        self._history = Samples(began_at)
        self._unit = ""
        self._samples: deque[tuple[float, int]] = deque()
        self._complete = False

    def take(self, at: float, done: int, total: int, unit: str, **details: Unpack[Details]) -> dict[str, Any] | None:
        """The JSON to write at the time `at` (seconds on a clock that only counts); None when it is too early.

        The end is never too early, once.
        """
        done = min(done, total)
        completes = done == total and not self._complete
        if self._samples and unit == self._unit and at - self._samples[-1][0] < WRITE_SECONDS and not completes:
            return None
        self._complete = done == total
        rate = self._rate(at, done, unit)
        blobs, lag = details.get("blobs"), details.get("lag", (None, None))
        is_known = unit == "bytes" and len(self._samples) > 1
        self._history.add(at, round(rate, 1) if is_known else None, lag[0])
        return {
            "unit": unit,
            "done": done,
            "total": total,
            "rows": details.get("rows"),
            "blobs": {"done": blobs[0], "total": blobs[1]} if blobs else None,
            "rate": round(rate, 1),
            "seconds_left": round((total - done) / rate, 1) if rate and done < total else None,
            "lag_bytes": lag[0],
            "lag_seconds": lag[1],
            "tables": _that_matter(details.get("tables", {})),
            "samples": list(self._history.kept),
        }

    def _rate(self, at: float, done: int, unit: str) -> float:
        if unit != self._unit or (self._samples and done < self._samples[-1][1]):  # it counts something new
            self._samples.clear()
        self._unit = unit
        self._samples.append((at, done))
        while len(self._samples) > 2 and at - self._samples[1][0] >= _RATE_SECONDS:
            self._samples.popleft()
        (since, before), (_, now) = self._samples[0], self._samples[-1]
        return (now - before) / (at - since) if at > since else 0.0


def _that_matter(tables: Mapping[str, TableProgress]) -> dict[str, Any]:
    """Those being copied, then the largest."""
    first = sorted(tables.items(), key=lambda item: (item[1].state not in BUSY, -item[1].total, item[0]))
    return {name: asdict(table) for name, table in first[:_MOST_TABLES]}


# -- in words -----------------------------------------------------------------------------------------------------


def sentence(kept: Mapping[str, Any]) -> str:
    """What is kept, in a line; empty when nothing is."""
    if not kept:
        return ""
    unit, rate, left, blobs = kept["unit"], kept["rate"], kept["seconds_left"], kept["blobs"]
    parts = [
        f"{amount(kept['done'], unit)} of {amount(kept['total'], unit)}"
        if unit == "bytes"
        else f"{kept['done']:,} of {amount(kept['total'], unit)}",
        f"{blobs['done']:,} of {blobs['total']:,} blobs" if blobs else "",
        f"{kept['rows']:,} rows" if kept["rows"] is not None else "",
        f"{amount(round(rate), unit)}/s" if rate and kept["done"] < kept["total"] else "",
        f"{ticking(round(left))} left" if left is not None else "",
        f"lag {lag_in_words(kept)}" if kept["lag_bytes"] is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def lag_in_words(kept: Mapping[str, Any]) -> str:
    seconds = kept["lag_seconds"]
    return size(kept["lag_bytes"]) + (f" ({seconds:.1f} s)" if seconds is not None else "")


def amount(count: int, unit: str) -> str:
    return size(count) if unit == "bytes" else f"{count:,} {unit}"

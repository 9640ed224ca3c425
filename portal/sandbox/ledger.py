"""What the traffic saw: every write by its key, every read by its outcome. Safe to use from many threads.

Times are seconds of time.monotonic() unless a name says otherwise; latencies are seconds.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_STEP = 1.05
"""Latencies are counted in classes five per cent wide: percentiles are that exact, and memory does not grow."""
_SHORTEST = 1e-4
_KEPT_FAILURES = 100


@dataclass(frozen=True)
class Acknowledged:
    """A write that was answered 2xx. Id and picture's name are None too when the answer broke off after its status."""

    key: str
    entry_id: int | None
    picture: str | None
    at: float


@dataclass(frozen=True)
class Failure:
    """A read that failed, or a write whose outcome is unknown."""

    at_unix: float
    what: str
    reason: str


class Latencies:
    """Durations, for their percentiles."""

    def __init__(self) -> None:
        self._classes: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        self._classes[round(math.log(max(seconds, _SHORTEST) / _SHORTEST, _STEP))] += 1

    def percentile(self, percent: float) -> float | None:
        """Seconds that `percent` of the durations do not exceed; None when there are none."""
        rest = math.ceil(self._classes.total() * percent / 100)
        for number in sorted(self._classes):
            rest -= self._classes[number]
            if rest <= 0:
                return _SHORTEST * _STEP**number
        return None


@dataclass
class Second:
    """What ended within one second of the run."""

    reads: int = 0
    failed_reads: int = 0
    acknowledged: int = 0
    refused: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Snapshot:
    """The counts at one moment. Rates are those of the last whole second, latencies of the whole run."""

    seconds: float
    reads: int
    failed_reads: int
    acknowledged: int
    refused: int
    unknown: int
    reads_per_second: int
    writes_per_second: int
    last_ack_at: float | None
    seconds_since_ack: float | None
    longest_gap_seconds: float
    read_p50: float | None
    read_p99: float | None
    write_p50: float | None
    write_p99: float | None


@dataclass
class Ledger:
    """`reads` counts the ones that succeeded; `refused` are the fence's 503, `unknown` every other unanswered write."""

    started_at: float = field(default_factory=time.monotonic)
    clock: Callable[[], float] = time.monotonic
    acknowledged: list[Acknowledged] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    reads: int = 0
    failed_reads: int = 0
    read_failures: list[Failure] = field(default_factory=list)
    write_failures: list[Failure] = field(default_factory=list)
    """The first hundred of each, to look into."""
    read_latencies: Latencies = field(default_factory=Latencies)
    write_latencies: Latencies = field(default_factory=Latencies)
    """Of acknowledged writes."""
    per_second: dict[int, Second] = field(default_factory=dict)
    """By whole seconds since `started_at`."""
    longest_gap_seconds: float = 0.0
    """Between two acknowledged writes."""
    _pictured: list[Acknowledged] = field(default_factory=list, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def last_ack_at(self) -> float | None:
        with self._lock:
            return self.acknowledged[-1].at if self.acknowledged else None

    def read_succeeded(self, seconds: float) -> None:
        with self._lock:
            self.reads += 1
            self.read_latencies.add(seconds)
            self._now().reads += 1

    def read_failed(self, what: str, reason: str) -> None:
        with self._lock:
            self.failed_reads += 1
            self._now().failed_reads += 1
            _keep(self.read_failures, what, reason)

    def write_acknowledged(self, key: str, entry_id: int | None, picture: str | None, seconds: float) -> None:
        with self._lock:
            at = self.clock()
            if self.acknowledged:
                self.longest_gap_seconds = max(self.longest_gap_seconds, at - self.acknowledged[-1].at)
            self.acknowledged.append(Acknowledged(key, entry_id, picture, at))
            if picture:
                self._pictured.append(self.acknowledged[-1])
            self.write_latencies.add(seconds)
            self._now().acknowledged += 1

    def write_refused(self, key: str) -> None:
        with self._lock:
            self.refused.append(key)
            self._now().refused += 1

    def write_unknown(self, key: str, reason: str) -> None:
        with self._lock:
            self.unknown.append(key)
            self._now().unknown += 1
            _keep(self.write_failures, f"POST {key}", reason)

    def any_acknowledged(self) -> Acknowledged | None:
        """One of them by chance, a recent one more often: recent rows are the ones a move can lose."""
        return self._any(self.acknowledged)

    def any_pictured(self) -> Acknowledged | None:
        """The same among the writes with a picture."""
        return self._any(self._pictured)

    def _any(self, writes: list[Acknowledged]) -> Acknowledged | None:
        with self._lock:
            if not writes:
                return None
            return random.choice(writes[-50:] if random.random() < 0.5 else writes)  # noqa: S311

    def snapshot(self) -> Snapshot:
        with self._lock:
            now, last = self.clock(), self.last_ack_at
            second = self.per_second.get(int(now - self.started_at) - 1, Second())
            return Snapshot(
                seconds=now - self.started_at,
                reads=self.reads,
                failed_reads=self.failed_reads,
                acknowledged=len(self.acknowledged),
                refused=len(self.refused),
                unknown=len(self.unknown),
                reads_per_second=second.reads,
                writes_per_second=second.acknowledged,
                last_ack_at=last,
                seconds_since_ack=None if last is None else now - last,
                longest_gap_seconds=self.longest_gap_seconds,
                read_p50=self.read_latencies.percentile(50),
                read_p99=self.read_latencies.percentile(99),
                write_p50=self.write_latencies.percentile(50),
                write_p99=self.write_latencies.percentile(99),
            )

    def _now(self) -> Second:
        return self.per_second.setdefault(int(self.clock() - self.started_at), Second())


def _keep(failures: list[Failure], what: str, reason: str) -> None:
    if len(failures) < _KEPT_FAILURES:
        failures.append(Failure(time.time(), what, reason))

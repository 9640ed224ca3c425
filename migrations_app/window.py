"""Weekly maintenance windows. Pure: no models, no clock of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_WEEK = timedelta(days=7)
_WEEKS_AHEAD = 53
"""So far ahead is a common opening looked for: over both changes of the clocks."""


@dataclass(frozen=True)
class Window:
    """Opens once a week at a local time, which daylight saving moves with the people who live there.

    `day` counts from Monday = 0; `length` is elapsed time, at most a week.
    """

    day: int
    opens: time
    length: timedelta
    zone: ZoneInfo

    def openings(self, since: datetime) -> Iterator[datetime]:
        """The last opening at or before `since`, then all that follow; in UTC."""
        local = since.astimezone(self.zone)
        date = local.date() - timedelta(days=(local.weekday() - self.day) % 7)
        if self._opening(date) > since:
            date -= _WEEK
        while True:
            yield self._opening(date)
            date += _WEEK

    def is_open(self, at: datetime) -> bool:
        return at < next(self.openings(at)) + self.length

    def _opening(self, date: date) -> datetime:
        return datetime.combine(date, self.opens, self.zone).astimezone(UTC)

    def __str__(self) -> str:
        minutes = self.length.total_seconds() / 60
        return f"{WEEKDAYS[self.day]}s {self.opens:%H:%M} {self.zone.key} for {minutes:.0f} min"


def first_time_all_open(windows: Sequence[Window], since: datetime) -> datetime | None:
    """The first moment from `since` on at which every window is open; None if they do not meet within a year."""
    candidates = {since}
    for window in windows:
        candidates.update(islice(window.openings(since), 1, _WEEKS_AHEAD + 1))
    return next((at for at in sorted(candidates) if all(window.is_open(at) for window in windows)), None)


def windows_meet(first: Window | None, second: Window | None) -> bool:
    """Whether there is a time at which both are open."""
    return first is None or second is None or first_time_all_open([first, second], datetime.now(UTC)) is not None

"""Charts as SVG made on the server: `{% include "dashboard/_chart.html" with chart=chart %}`.

The drawing alone is SVG, and stretches to the width there is; what is to be read stands around it as text, and all of
it once more as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil, floor, log10
from typing import NamedTuple

from django.utils import timezone
from django.utils.safestring import SafeString

from migrations_app.dashboard.display import Moments, clock, escaped, joined, markup
from migrations_app.dashboard.shapes import leading, path, rect
from migrations_app.units import size, span

WIDTH, HEIGHT = 1000, 120
"""Of the drawing, in its own units: the width is that of the page, the height is pixels."""
_TOP = 6
"""What is left free above the greatest value there can be, for the half of a dot or a line."""
_WIDEST_BAR = 60.0
_LONG_TIMES = (60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 43200, 86400)
_MOST_DOTS = 40
"""With more points than that the line alone is drawn."""
FEWEST = 3
"""Points that make a line worth drawing."""

_WRITTEN: dict[str, Callable[[float], str]] = {
    "seconds": span,
    "bytes": lambda count: size(round(count)),
    "bytes a second": lambda count: f"{size(round(count))}/s",
}
"""How values of a unit are written. Those of others are numbers followed by the unit."""


class Point(NamedTuple):
    """`href`: the page it leads to; `name`: what it is of, if its time does not tell."""

    at: datetime
    value: float
    href: str | None = None
    name: str = ""


class Mark(NamedTuple):
    """A point where it is drawn."""

    x: float
    y: float
    width: float
    height: float
    href: str | None
    text: str


class Row(NamedTuple):
    """A point as the table has it."""

    at: str
    name: str
    value: str
    href: str | None


def axis_times(first: datetime, last: datetime, *, middle: bool = True) -> list[str]:
    """What stands under an axis: its ends and its middle, as precise as its length lets one tell them apart."""
    if last <= first:
        return [clock(first)]
    form = "%Y-%m-%d" if last - first > timedelta(days=4) else "%m-%d %H:%M"
    ends = [first, first + (last - first) / 2, last] if middle else [first, last]
    return [clock(at, f"{timezone.localtime(at):{form}}") for at in ends]


@dataclass(frozen=True)
class Chart:
    """What a figure was at which time, the oldest first.

    `unit`: seconds, bytes, bytes a second, or any other word. `points` are Points, or tuples like them; more than a
    few hundred are more than a page is wide. As `bars` they stand side by side, one for each thing that happened; else
    they are joined to a line over the time from the first to the last. `none` is said where there are no points.
    """

    title: str
    unit: str
    points: Sequence[Point | tuple[datetime, float] | tuple[datetime, float, str | None]]
    bars: bool = False
    none: str = "There is nothing to show yet."

    @cached_property
    def sorted_points(self) -> list[Point]:
        return sorted((Point(*point) for point in self.points), key=lambda point: point.at)

    @cached_property
    def _moments(self) -> Moments:
        return Moments()

    @cached_property
    def description(self) -> str:
        """What the drawing shows, in a sentence."""
        points = self.sorted_points
        values = [point.value for point in points]
        return (
            f"{len(points)} values from {self._moments[points[0].at]} to {self._moments[points[-1].at]}: "
            f"the least {self.written(min(values))}, the greatest {self.written(max(values))}, "
            f"the last {self.written(values[-1])}."
        )

    @cached_property
    def has_links(self) -> bool:
        return any(point.href for point in self.sorted_points)

    @cached_property
    def has_names(self) -> bool:
        return any(point.name for point in self.sorted_points)

    def written(self, value: float) -> str:
        return _WRITTEN[self.unit](value) if self.unit in _WRITTEN else f"{value:g} {self.unit}"

    @cached_property
    def top(self) -> float:
        """The value at the upper end of the axis: 1, 2 or 5 times a power of ten; of times round minutes or hours."""
        greatest = max((point.value for point in self.sorted_points), default=0)
        if greatest <= 0:
            return 1
        if self.unit == "seconds" and greatest > 50:
            return next((top for top in _LONG_TIMES if top >= greatest), ceil(greatest / 86400) * 86400)
        power = 10.0 ** floor(log10(greatest))
        return next(step * power for step in (1, 2, 5, 10) if step * power >= greatest * (1 - 1e-9))

    @property
    def levels(self) -> list[str]:
        """What the axis of values says, from above: the top, its half, zero."""
        return [self.written(value) for value in (self.top, self.top / 2, 0)]

    @property
    def times(self) -> list[str]:
        """What the axis of times says. Of bars, which stand side by side, only the ends have a time."""
        points = self.sorted_points
        return axis_times(points[0].at, points[-1].at, middle=not self.bars)

    @cached_property
    def marks(self) -> list[Mark]:
        """Each point where it is drawn: a bar from zero, or a dot."""
        points = self.sorted_points
        slot = WIDTH / max(len(points), 1)
        wide = min(slot * 0.7, _WIDEST_BAR)
        marks = []
        for place, point in enumerate(points):
            y = self._y(point.value)
            x = slot * (place + 0.5) - wide / 2 if self.bars else self._x(point.at)
            text = f"{point.name}, {self._moments[point.at]}: " if point.name else f"{self._moments[point.at]}: "
            text += self.written(point.value)
            marks.append(Mark(round(x, 1), round(y, 1), round(wide, 1), round(HEIGHT - y, 1), point.href, text))
        return marks

    @property
    def line(self) -> str:
        """The points of the polyline."""
        return " ".join(f"{mark.x},{mark.y}" for mark in self.marks)

    @property
    def drawing(self) -> SafeString:
        """The points: bars, or dots on the line."""
        shapes = [
            leading(
                rect("chart-bar", mark.x, mark.y, mark.width, mark.height, mark.text)
                if self.bars
                else path("chart-dot", f"M{mark.x} {mark.y}h0", mark.text),
                mark.text,
                mark.href,
            )
            for mark in (self.marks if self.bars else self.dots)
        ]
        return joined(shapes)

    @property
    def dots(self) -> list[Mark]:
        """The points that are drawn one by one on the line."""
        return self.marks if len(self.points) <= _MOST_DOTS else [mark for mark in self.marks if mark.href]

    @property
    def grid(self) -> list[float]:
        """Where the lines of the levels are."""
        return [self._y(value) for value in (self.top, self.top / 2, 0)]

    @property
    def rows(self) -> list[Row]:
        """The table, the newest first."""
        return [
            Row(clock(point.at, self._moments[point.at]), point.name, self.written(point.value), point.href)
            for point in reversed(self.sorted_points)
        ]

    @property
    def table(self) -> SafeString:
        """The inside of its body."""
        rows = [
            f'<tr><td class="time">{_linked(row.at, row.href)}</td>'
            f"{f'<td>{escaped(row.name)}</td>' if self.has_names else ''}<td>{escaped(row.value)}</td></tr>"
            for row in self.rows
        ]
        return joined(rows)

    def _x(self, at: datetime) -> float:
        first, last = self.sorted_points[0].at, self.sorted_points[-1].at
        return WIDTH * ((at - first) / (last - first)) if last > first else WIDTH / 2

    def _y(self, value: float) -> float:
        return HEIGHT - (HEIGHT - _TOP) * max(value, 0) / self.top


def _linked(text: str, href: str | None) -> str:
    return markup('<a href="{}">{}</a>', href, text) if href else text

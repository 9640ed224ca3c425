"""Charts as SVG, and as tables."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from django.template.loader import render_to_string

from migrations_app.dashboard.charts import HEIGHT, WIDTH, Chart, Point

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def points(*values: float) -> list[Point]:
    return [Point(NOON + timedelta(minutes=number), value) for number, value in enumerate(values)]


def drawn(chart: Chart) -> str:
    return render_to_string("dashboard/_chart.html", {"chart": chart})


@pytest.mark.parametrize(
    ("values", "unit", "levels"),
    [
        ([3, 7], "seconds", ["10.0 s", "5.0 s", "0.0 s"]),
        ([55], "seconds", ["1 min 00 s", "30.0 s", "0.0 s"]),
        ([3000], "seconds", ["1 h 00 min", "30 min 00 s", "0.0 s"]),
        ([90000], "seconds", ["2 d 0 h", "1 d 0 h", "0.0 s"]),
        ([1_300_000], "bytes", ["2.0 MB", "1.0 MB", "0 bytes"]),
        ([41_000_000], "bytes a second", ["50.0 MB/s", "25.0 MB/s", "0 bytes/s"]),
        ([0, 0], "moves", ["1 moves", "0.5 moves", "0 moves"]),
    ],
)
def test_the_axis_ends_at_a_round_value_and_names_its_unit(values: list[float], unit: str, levels: list[str]) -> None:
    assert Chart("Lag", unit, points(*values)).levels == levels


def test_a_line_goes_from_edge_to_edge_and_higher_for_more() -> None:
    first, second, third = Chart("Lag", "bytes", points(0, 5, 10)).marks
    assert (first.x, second.x, third.x) == (0, WIDTH / 2, WIDTH)
    assert first.y == HEIGHT > second.y > third.y > 0


def test_points_stand_in_the_order_of_time_whatever_order_they_come_in() -> None:
    chart = Chart("Lag", "bytes", points(1, 2, 4)[::-1])
    assert chart.line == Chart("Lag", "bytes", points(1, 2, 4)).line
    assert [row.value for row in chart.rows] == ["4 bytes", "2 bytes", "1 bytes"], "the newest first"


@pytest.mark.parametrize("count", [1, 2, 30])
def test_bars_stand_side_by_side_on_the_ground(count: int) -> None:
    bars = Chart("Blocked", "seconds", points(*range(1, count + 1)), bars=True).marks
    assert all(before.x + before.width < after.x for before, after in pairwise(bars))
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in bars)
    assert {round(bar.y + bar.height, 1) for bar in bars} == {HEIGHT}


@pytest.mark.parametrize("bars", [True, False])
def test_what_is_drawn_is_in_the_table_too(bars: bool) -> None:
    html = drawn(Chart("Blocked", "seconds", [Point(NOON, 4.2, "/there", "shop"), (NOON, 9.0)], bars=bars))
    assert html.count('href="/there"') == 2
    assert [cell for cell in re.findall(r"<td>([^<]+)</td>", html)] == ["9.0 s", "shop", "4.2 s"]
    assert "<desc>2 values from 2026-03-01 12:00:00 UTC" in html
    assert "the least 4.2 s, the greatest 9.0 s, the last 9.0 s." in html


def test_one_point_is_drawn() -> None:
    assert f'd="M{WIDTH / 2} ' in drawn(Chart("Lag", "bytes", points(3)))


def test_without_points_it_says_so() -> None:
    html = drawn(Chart("Lag", "bytes", [], none="It was never watched."))
    assert "It was never watched." in html
    assert "<svg" not in html


def test_names_are_escaped() -> None:
    html = drawn(Chart("<b>", "<b>", [Point(NOON, 1, '"><b>', "<b>")], bars=True))
    assert "<b>" not in html

"""Maintenance windows: when they are open, when two of them meet, and what a region may have for one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import strategies as st

from migrations_app.models import Region
from migrations_app.window import Window, first_time_all_open, windows_meet

MONDAY, TUESDAY, SATURDAY, SUNDAY = 0, 1, 5, 6
MINUTE = timedelta(minutes=1)
WEEK = timedelta(weeks=1)


def window(day: int, opens: str, minutes: int, zone: str = "UTC") -> Window:
    return Window(day, time.fromisoformat(opens), timedelta(minutes=minutes), ZoneInfo(zone))


def utc(moment: str) -> datetime:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def open_minutes(windows: Window | Iterable[Window], since: str, until: str) -> list[str]:
    """The first and the minute after the last of each stretch in which all are open, as `MM-DD HH:MM` in UTC."""
    all_of_them = [windows] if isinstance(windows, Window) else list(windows)
    edges, was_open, at = [], False, utc(since)
    while at < utc(until):
        if all(window.is_open(at) for window in all_of_them) != was_open:
            was_open = not was_open
            edges.append(f"{at:%m-%d %H:%M}")
        at += MINUTE
    return edges


# -- one window -----------------------------------------------------------------------------------------------------


def test_a_window_opens_at_its_minute_and_is_shut_at_its_end() -> None:
    weekly = window(MONDAY, "02:00", 60)
    assert open_minutes(weekly, "2026-01-04", "2026-01-19") == [
        "01-05 02:00",
        "01-05 03:00",
        "01-12 02:00",
        "01-12 03:00",
    ]


@pytest.mark.parametrize(
    ("zone", "opens_in_utc"),
    [
        ("Europe/Berlin", "01-05 01:00"),
        ("Pacific/Kiritimati", "01-04 12:00"),  # 14 hours ahead: Monday begins on Sunday
        ("Pacific/Pago_Pago", "01-05 13:00"),  # 11 hours behind
        ("Asia/Kathmandu", "01-04 20:15"),
    ],
)
def test_a_window_is_in_the_time_of_its_region(zone: str, opens_in_utc: str) -> None:
    assert open_minutes(window(MONDAY, "02:00", 60, zone), "2026-01-03", "2026-01-07")[0] == opens_in_utc


def test_daylight_saving_moves_a_window_with_the_people() -> None:
    nightly = window(SUNDAY, "04:00", 60, "Europe/Berlin")
    for winter, summer in (("2026-03-22 03:00", "2026-03-29 02:00"), ("2026-10-25 03:00", "2026-10-18 02:00")):
        assert first_time_all_open([nightly], utc(winter) - MINUTE) == utc(winter)
        assert first_time_all_open([nightly], utc(summer) - MINUTE) == utc(summer)


def test_a_window_that_opens_in_the_hour_spring_skips_opens_an_hour_later_by_the_clock() -> None:
    assert open_minutes(window(SUNDAY, "02:30", 60, "Europe/Berlin"), "2026-03-29", "2026-03-30") == [
        "03-29 01:30",
        "03-29 02:30",
    ]


def test_a_window_that_opens_in_the_hour_autumn_repeats_opens_once() -> None:
    assert open_minutes(window(SUNDAY, "02:30", 30, "Europe/Berlin"), "2026-10-25", "2026-10-26") == [
        "10-25 00:30",
        "10-25 01:00",
    ]


@pytest.mark.parametrize(
    ("saturday", "shut_local"), [("2026-03-28", "06:00"), ("2026-06-06", "05:00"), ("2026-10-24", "04:00")]
)
def test_the_length_of_a_window_is_elapsed_time_whatever_the_clocks_do(saturday: str, shut_local: str) -> None:
    overnight = window(SATURDAY, "22:00", 7 * 60, "Europe/Berlin")
    opening = next(iter(overnight.openings(utc(saturday) + timedelta(hours=23))))
    shut = opening + timedelta(hours=7)
    assert f"{shut.astimezone(overnight.zone):%H:%M}" == shut_local
    assert (overnight.is_open(shut - MINUTE), overnight.is_open(shut)) == (True, False)


def test_a_window_longer_than_a_day_is_open_over_midnights_and_the_turn_of_the_week() -> None:
    weekend = window(SATURDAY, "18:00", 60 * 60)
    assert open_minutes(weekend, "2026-01-02", "2026-01-08") == ["01-03 18:00", "01-06 06:00"]


def test_a_window_of_a_full_week_is_always_open() -> None:
    always = window(TUESDAY, "09:00", 7 * 24 * 60)
    assert open_minutes(always, "2026-01-01", "2026-01-15") == ["01-01 00:00"]
    assert first_time_all_open([always], utc("2026-05-05 08:59")) == utc("2026-05-05 08:59")


def test_a_window_of_a_full_week_is_shut_for_the_hour_that_autumn_adds_to_the_week() -> None:
    always = window(MONDAY, "00:00", 7 * 24 * 60, "Europe/Berlin")
    assert open_minutes(always, "2026-10-20", "2026-10-28") == ["10-20 00:00", "10-25 22:00", "10-25 23:00"]
    assert open_minutes(always, "2026-03-25", "2026-04-02") == ["03-25 00:00"]


# -- several --------------------------------------------------------------------------------------------------------


def test_without_windows_it_is_always_time() -> None:
    assert first_time_all_open([], utc("2026-01-01")) == utc("2026-01-01")


def test_two_windows_are_open_together_where_they_overlap() -> None:
    both = [window(MONDAY, "02:00", 120), window(MONDAY, "04:30", 120, "Europe/Berlin")]
    assert open_minutes(both, "2026-01-04", "2026-01-07") == ["01-05 03:30", "01-05 04:00"]
    assert first_time_all_open(both, utc("2026-01-05 04:00")) == utc("2026-01-12 03:30")


def test_two_windows_that_only_touch_never_meet() -> None:
    first, second = window(MONDAY, "02:00", 60), window(MONDAY, "03:00", 60)
    assert first_time_all_open([first, second], utc("2026-01-01")) is None
    assert not windows_meet(first, second)
    assert windows_meet(first, None)
    assert windows_meet(None, None)


def test_two_windows_that_meet_only_while_one_side_has_changed_its_clocks() -> None:
    """Sunday 02:00 in Berlin is 20:00 in New York, and 21:00 in the weeks between the two changes."""
    berlin, new_york = (
        window(SUNDAY, "02:00", 60, "Europe/Berlin"),
        window(SATURDAY, "21:00", 60, "America/New_York"),
    )
    assert first_time_all_open([berlin, new_york], utc("2026-01-01")) == utc("2026-03-15 01:00")
    assert first_time_all_open([berlin, new_york], utc("2026-04-01")) == utc("2026-11-01 01:00")
    assert windows_meet(berlin, new_york)


zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"])
some_windows = st.lists(
    st.builds(
        Window,
        day=st.integers(0, 6),
        opens=st.times(max_value=time(23, 59)).map(lambda at: at.replace(second=0, microsecond=0)),
        length=st.integers(1, 7 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
        zone=zones.map(ZoneInfo),
    ),
    max_size=3,
)
instants = st.datetimes(datetime(2025, 1, 1), datetime(2028, 1, 1)).map(
    lambda at: at.replace(second=0, microsecond=0, tzinfo=UTC)
)


def spells(window: Window, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
    """When the window is open between the two, looked up day by day in a calendar."""
    day = (since - timedelta(days=9)).date()
    found = []
    while day <= until.date() + timedelta(days=1):
        if day.weekday() == window.day:
            opening = datetime.combine(day, window.opens, window.zone).astimezone(UTC)
            found.append((opening, opening + window.length))
        day += timedelta(days=1)
    return found


@given(windows=some_windows, since=instants)
def test_the_first_common_opening_is_the_first_minute_at_which_all_are_open(
    windows: list[Window], since: datetime
) -> None:
    horizon = since + 2 * WEEK
    calendar = [spells(window, since, horizon) for window in windows]

    def all_open(at: datetime) -> bool:
        return all(any(begin <= at < end for begin, end in spell) for spell in calendar)

    found = first_time_all_open(windows, since)
    scanned = (since + n * MINUTE for n in range(int(2 * WEEK / MINUTE)))
    assert next((at for at in scanned if all_open(at)), None) == (found if found and found < horizon else None)
    if found:
        assert found >= since
        assert all(window.is_open(found) for window in windows)


# -- a region's ------------------------------------------------------------------------------------------------------

WHOLE = {"window_day": MONDAY, "window_opens": time(2), "window_minutes": 60}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "fields",
    [
        *({**WHOLE, left_out: None} for left_out in WHOLE),
        *({given: WHOLE[given]} for given in WHOLE),
        {**WHOLE, "window_day": 7},
        {**WHOLE, "window_minutes": 0},
        {**WHOLE, "window_minutes": 7 * 24 * 60 + 1},
    ],
    ids=str,
)
def test_half_a_window_is_none(fields: dict[str, object]) -> None:
    region = Region(slug="us", database="host=us", **fields)
    with pytest.raises(ValidationError):
        region.full_clean()
    with pytest.raises(IntegrityError, match="region_window_is_whole"), transaction.atomic():
        region.save()


@pytest.mark.django_db
def test_a_whole_window_is_kept_and_read_back() -> None:
    region = Region(slug="us", database="host=us", time_zone="Europe/Berlin", **WHOLE)
    region.full_clean()
    region.save()
    assert Region.objects.get().window == window(MONDAY, "02:00", 60, "Europe/Berlin")
    assert str(Region.objects.get().window) == "Mondays 02:00 Europe/Berlin for 60 min"


@pytest.mark.parametrize("zone", ["Europe/Nowhere", "", "../../etc/passwd", "CET+1"])
def test_a_time_zone_nobody_has_is_refused(zone: str) -> None:
    with pytest.raises(ValidationError, match="time_zone"):
        Region(slug="us", database="host=us", time_zone=zone).clean_fields()

"""What is made once for all who see the same, whichever process asks."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from itertools import count

import pytest
import time_machine
from django.conf import LazySettings
from django.core import signing
from django.utils import timezone

from migrations_app import bell
from migrations_app.dashboard import shared as module
from migrations_app.dashboard.shared import PREFIX, shared
from tests.waiting import wait_until

KEY = "of this test"


class Made:
    """Counts how often it was made; each time it is another value."""

    def __init__(self) -> None:
        self.numbers = count(1)

    def __call__(self) -> list[int]:
        return [next(self.numbers)]


@pytest.fixture(autouse=True)
def _kept(settings: LazySettings) -> Iterator[None]:
    settings.MOVES_OVERVIEW_SECONDS = 60
    another_process()
    with bell.connect() as store:
        yield
        store.delete(f"{PREFIX}{KEY}", f"{PREFIX}{KEY}-making")


def another_process() -> None:
    """It knows nothing but what Redis says."""
    module._here.clear()


def test_it_is_made_once_for_all_processes() -> None:
    make = Made()
    assert shared(KEY, make) == [1]
    another_process()
    assert shared(KEY, make) == [1]
    with bell.connect() as store:
        store.delete(f"{PREFIX}{KEY}")
    assert shared(KEY, make) == [1], "this process knows it still"
    another_process()
    assert shared(KEY, make) == [2]


def test_while_one_makes_it_anew_the_others_take_what_there_was() -> None:
    make = Made()
    assert shared(KEY, make) == [1]
    with bell.connect() as store:
        store.pexpire(f"{PREFIX}{KEY}", 59_000)  # of twice sixty seconds: it is a second too old

    def slowly() -> list[int]:
        assert shared(KEY, make) == [1]
        return make()

    another_process()
    assert shared(KEY, slowly) == [2]
    another_process()
    assert shared(KEY, make) == [2]


def test_what_is_older_than_twice_the_time_is_never_shown(settings: LazySettings) -> None:
    settings.MOVES_OVERVIEW_SECONDS = 0.05
    make = Made()
    assert shared(KEY, make) == [1]
    with bell.connect() as store:
        wait_until(lambda: not store.exists(f"{PREFIX}{KEY}"))
    assert shared(KEY, make) == [2]


def test_who_writes_redis_has_no_say_in_it() -> None:
    make = Made()
    shared(KEY, make)
    with bell.connect() as store:
        of_another_key = store.get(f"{PREFIX}{KEY}")
        with time_machine.travel(timezone.now() - timedelta(hours=1)):
            of_an_hour_ago = signing.dumps([1], salt=f"{PREFIX}{KEY}").encode()
        for forged in (b"[666]", b"nonsense", b"\xff", b"x" + of_another_key, of_an_hour_ago):
            store.set(f"{PREFIX}{KEY}", forged, px=120_000)
            another_process()
            assert shared(KEY, lambda: "made") == "made", forged
        store.set(f"{PREFIX}other", of_another_key, px=120_000)
        assert shared("other", lambda: "made") == "made", "signed, but for another key"
        store.delete(f"{PREFIX}other")


def test_without_redis_each_makes_its_own(settings: LazySettings) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{unheard.getsockname()[1]}/0"
        make = Made()
        assert [shared(KEY, make), shared(KEY, make)] == [[1], [2]]


def test_never_old_is_never_kept(settings: LazySettings) -> None:
    settings.MOVES_OVERVIEW_SECONDS = 0
    make = Made()
    assert [shared(KEY, make), shared(KEY, make)] == [[1], [2]]

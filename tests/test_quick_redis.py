"""Redis, as it is asked by whoever can do without it."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from migrations_app import bell, quick_redis


def test_a_connection_that_redis_ended_is_made_anew() -> None:
    kept = quick_redis.ask(lambda store: store.client_id())
    with bell.connect() as connection:
        assert connection.client_kill_filter(_id=kept) == 1
    assert quick_redis.ask(lambda store: store.ping())


def test_one_that_is_away_is_left_alone_for_a_while_and_then_asked_again(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(quick_redis, "time", SimpleNamespace(monotonic=lambda: clock.now))
    asked = []

    def ping(store: redis.Redis) -> bool:
        asked.append(clock.now)
        return bool(store.ping())

    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{unheard.getsockname()[1]}/0"
        for clock.now in (100.0, 104.9, 105.1):
            assert quick_redis.ask(ping) is None
    assert asked == [100.0, 105.1]

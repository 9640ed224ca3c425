"""How many workers there are, as the pages tell it."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from rq import Queue, Worker

from migrations_app import bell, workers


@pytest.fixture
def listening() -> Iterator[Any]:
    """Starts RQ's bookkeeping of a worker of these regions."""
    started: list[Worker] = []
    with bell.connect() as connection:

        def listen(*slugs: str) -> Worker:
            queues: list[Queue] = [bell.queue_of(slug, connection) for slug in slugs]
            worker = Worker(queues, connection=connection)
            worker.register_birth()
            started.append(worker)
            return worker

        yield listen
        for worker in started:
            worker.register_death()


def test_workers_are_counted_for_each_region(listening: Any) -> None:
    before = workers.alive()
    assert before is not None
    for slugs in [("here",), ("here",), ("there",)]:
        listening(*slugs)
    after = workers.alive()
    assert after is not None
    assert after - before == {"here": 2, "there": 1}
    assert after["nowhere"] == 0


def test_one_that_ended_or_was_forgotten_does_not_count(listening: Any) -> None:
    ended, forgotten = listening("here"), listening("here")
    ended.register_death()
    with bell.connect() as connection:
        connection.delete(forgotten.key)  # as Redis does with the key of one that was killed
    found = workers.alive()
    assert found is not None
    assert found["here"] == 0


def test_without_redis_nobody_knows(settings: Any) -> None:
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        settings.REDIS_URL = f"redis://127.0.0.1:{unheard.getsockname()[1]}/0"
        assert workers.alive() is None

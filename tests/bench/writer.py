"""A steady writer beside what is measured, in a process of its own: one that shares it would slow both down.

It writes where it wrote last; refused there, it asks the other region, until one takes it, as an app would that looks
its database up anew.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import psycopg

NOTE = "written by the bench"
_TICK_SECONDS = 0.02


@dataclass(frozen=True)
class Written:
    """What the writer counted. `tried` has those whose outcome it never learned; rates are without the longest gap."""

    acknowledged: int
    tried: int
    longest_gap_seconds: float
    per_second: float


class Writer:
    """A context manager: writes, about `rate` transactions a second, from entry to exit; then `written` is there.

    Entry takes a second of writes.
    """

    def __init__(self, databases: list[str], *, user: str, password: str, rate: int) -> None:
        self._work = {"databases": databases, "user": user, "rate": rate}
        self._env = {**os.environ, "PGPASSWORD": password}
        self.written = Written(0, 0, 0, 0)

    def __enter__(self) -> Writer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.writer", json.dumps(self._work)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self._env,
        )
        assert self._process.stdout
        assert self._process.stdout.readline(), "the writer did not begin"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        said, _ = self._process.communicate()  # closes its stdin, which ends it
        if not error:
            self.written = Written(**json.loads(said))


def _wait_for_the_end(ended: threading.Event) -> None:
    sys.stdin.read()
    ended.set()


def _write(databases: list[str], user: str, rate: int) -> None:
    ended = threading.Event()
    threading.Thread(target=_wait_for_the_end, args=(ended,), daemon=True).start()
    tried = acknowledged = 0
    at, connection = 0, None
    began = last = due = time.monotonic()
    longest = 0.0
    while not ended.is_set():
        try:
            if connection is None:
                connection = psycopg.connect(databases[at], user=user, autocommit=True, connect_timeout=5)
            count = max(1, round(rate * _TICK_SECONDS))
            tried += count
            _transactions(connection, tried - count, count)
        except psycopg.Error:
            if connection is not None:
                connection.close()
            connection, at, due = None, (at + 1) % len(databases), time.monotonic()
            time.sleep(0.005)
            continue
        now = time.monotonic()
        longest, last = max(longest, now - last), now
        if acknowledged < rate <= acknowledged + count:
            print("writing", flush=True)
        acknowledged += count
        due += count / rate
        ended.wait(max(0.0, due - now))
    seconds = last - began - longest
    print(json.dumps(Written(acknowledged, tried, longest, acknowledged / seconds).__dict__))


def _transactions(connection: psycopg.Connection[Any], first: int, count: int) -> None:
    """So many, each with a commit of its own: every second one inserts a row, the others change one."""
    with connection.pipeline() as pipeline:
        for number in range(first, first + count):
            if number % 2:
                connection.execute(
                    "INSERT INTO ledger (account, amount, note, data, at) VALUES (%s, 1, %s, '{}', now())",
                    [number, NOTE],
                )
            else:
                connection.execute("UPDATE event_1 SET kind = 'changed' WHERE id = %s", [number % 10_000 + 1])
            pipeline.sync()


if __name__ == "__main__":
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # a session that a fence ended is no news
    _write(**json.loads(sys.argv[1]))

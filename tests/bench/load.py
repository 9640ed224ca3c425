"""Requests at a steady rate, whatever the answers take: each is due at its own time, and its latency counts from then,
so that one slow answer does not hide that others had to wait."""

from __future__ import annotations

import http.client
import statistics
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

_AT_ONCE = 64
_TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Seen:
    """Milliseconds from when a request was due to the last byte of its answer. `failed`: answered by another status
    than 200 or 204, or not at all."""

    requests: int
    failed: int
    p50: float
    p95: float
    longest: float


class Browser(threading.local):
    """A connection for each thread, kept open."""

    def __init__(self, address: str) -> None:
        self._connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_SECONDS)

    def get(self, url: str, headers: dict[str, str]) -> int:
        for again in (True, False):
            try:
                self._connection.request("GET", url, headers=headers)
                response = self._connection.getresponse()
                response.read()
                return response.status
            except (OSError, http.client.HTTPException):
                self._connection.close()  # the server ends what was idle for long
                if not again:
                    raise
        raise AssertionError("unreachable")


class Answer(NamedTuple):
    """`name`: of what was asked for."""

    name: str
    milliseconds: float
    went_well: bool


def ask(
    address: str, asked: Sequence[tuple[str, str]], *, headers: Sequence[dict[str, str]], rate: float
) -> list[Answer]:
    """`rate` requests a second until all are asked, each a name and a URL; with one set of headers after the other."""
    browser = Browser(address)
    began = time.monotonic() + 0.1

    def ask_one(number: int) -> Answer:
        name, url = asked[number]
        due = began + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            went_well = browser.get(url, headers[number % len(headers)]) in (200, 204)
        except (OSError, http.client.HTTPException):
            went_well = False
        return Answer(name, 1000 * (time.monotonic() - due), went_well)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(ask_one, range(len(asked))))


def seen(answers: Sequence[Answer]) -> Seen:
    times = sorted(answer.milliseconds for answer in answers)
    return Seen(
        requests=len(times),
        failed=sum(not answer.went_well for answer in answers),
        p50=statistics.median(times),
        p95=times[int(len(times) * 0.95)],
        longest=times[-1],
    )


def drive(address: str, urls: Sequence[str], *, headers: Sequence[dict[str, str]], rate: float, seconds: float) -> Seen:
    """`rate` requests a second for so long, one URL and one set of headers after the other."""
    asked = [("", urls[number % len(urls)]) for number in range(round(rate * seconds))]
    return seen(ask(address, asked, headers=headers, rate=rate))

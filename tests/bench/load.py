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


def drive(address: str, urls: Sequence[str], *, headers: Sequence[dict[str, str]], rate: float, seconds: float) -> Seen:
    """`rate` requests a second for so long, one URL and one set of headers after the other."""
    browser = Browser(address)
    began = time.monotonic() + 0.1

    def ask(number: int) -> tuple[float, bool]:
        due = began + number / rate
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            went_well = browser.get(urls[number % len(urls)], headers[number % len(headers)]) in (200, 204)
        except (OSError, http.client.HTTPException):
            went_well = False
        return 1000 * (time.monotonic() - due), went_well

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = list(pool.map(ask, range(round(rate * seconds))))
    times = sorted(milliseconds for milliseconds, _ in answers)
    return Seen(
        requests=len(times),
        failed=sum(not went_well for _, went_well in answers),
        p50=statistics.median(times),
        p95=times[int(len(times) * 0.95)],
        longest=times[-1],
    )

"""Who takes the app's writes, asked of the regions themselves: by direct sessions as the app's own role."""

from __future__ import annotations

import threading
import time

import psycopg

_EVERY_SECONDS = 0.02


class Sampler:
    """Looks every 20 ms at two regions until it is stopped; `both` are the times at which both took writes."""

    def __init__(self, conninfos: dict[str, str]) -> None:
        self.conninfos = conninfos
        self.samples = 0
        self.both: list[float] = []
        self.longest_block = 0.0
        """Seconds in which neither did."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        open_since = time.monotonic()
        while not self._stop.wait(_EVERY_SECONDS):
            writable = [region for region in self.conninfos if self._takes_writes(region)]
            # One after the other, and a switch may have come in between: only what holds before and after counts.
            if len(writable) > 1 and self._takes_writes(writable[0]):
                self.both.append(time.time())
            now = time.monotonic()
            if writable:
                open_since = now
            self.longest_block = max(self.longest_block, now - open_since)
            self.samples += 1

    def _takes_writes(self, region: str) -> bool:
        try:
            with psycopg.connect(self.conninfos[region], autocommit=True, connect_timeout=2) as session:
                row = session.execute("SELECT current_setting('transaction_read_only')").fetchone()
                return row == ("off",)
        except psycopg.Error:
            return False

"""Readers and writers that drive the guest book through the edge while it moves, and write down what they saw."""

from __future__ import annotations

import base64
import json
import random
import threading
import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any

from portal.sandbox.audit import Audit, audit
from portal.sandbox.keepalive import Answer, Connection, NoAnswer
from portal.sandbox.ledger import Ledger, Snapshot
from portal.sandbox.sample_app.pictures import png

__all__ = ["Audit", "Ledger", "Snapshot", "Traffic", "audit"]

_PICTURE_EVERY = 20
"""One write in so many carries a picture."""

_AUTHORS = ("Ann", "Bo", "Cleo", "Dan", "Eve", "Finn", "Gil", "Hana", "Ivo", "Jo", "Kim", "Lou", "Mia", "Nils", "Oda")


class Traffic:
    """`readers` and `writers` threads, each with a connection of its own and at most so many requests a second.

    A context manager; or start(), then stop(). `timeout` in seconds: a request without an answer by then has failed.
    """

    def __init__(
        self,
        edge_url: str,
        hostname: str,
        *,
        readers: int = 4,
        writers: int = 4,
        reads_per_second: float = 20,
        writes_per_second: float = 10,
        timeout: float = 15,
    ) -> None:
        self.ledger = Ledger()
        self._connect = lambda: Connection(edge_url, hostname, timeout=timeout)
        self._stopping = threading.Event()
        work = [(self._read, reads_per_second)] * readers + [(self._write, writes_per_second)] * writers
        self._threads = [
            threading.Thread(target=self._run, args=(act, 1 / rate), name=f"traffic-{number}", daemon=True)
            for number, (act, rate) in enumerate(work)
        ]

    def start(self) -> Traffic:
        self.ledger.started_at = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def stop(self) -> Ledger:
        """Let the requests in flight end, and hand over the ledger. May be called twice."""
        self._stopping.set()
        for thread in self._threads:
            if thread.ident:
                thread.join()
        return self.ledger

    def snapshot(self) -> Snapshot:
        return self.ledger.snapshot()

    @property
    def last_ack_at(self) -> float | None:
        """time.monotonic() of the latest acknowledged write."""
        return self.ledger.last_ack_at

    def __enter__(self) -> Traffic:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, act: Callable[[Connection], float], interval: float) -> None:
        connection = self._connect()
        next_at = time.monotonic() + random.uniform(0, interval)  # noqa: S311 — so that they do not march in step
        while not self._stopping.wait(max(0.0, next_at - time.monotonic())):
            pause = act(connection)
            next_at = max(next_at + interval, time.monotonic() + pause)
        connection.close()

    def _read(self, connection: Connection) -> float:
        """One read of a random kind. Returns 0: a reader never pauses."""
        path, is_right = self._choose_read()
        started = time.monotonic()
        try:
            answer = connection.get(path)
        except NoAnswer as error:
            self.ledger.read_failed(f"GET {path}", str(error))
            return 0
        if not 200 <= answer.status < 300:
            self.ledger.read_failed(f"GET {path}", f"{answer.status} {answer.body[:200]!r}")
        elif not answer.whole:
            self.ledger.read_failed(f"GET {path}", "the answer broke off")
        elif not is_right(answer):
            self.ledger.read_failed(f"GET {path}", f"not what was written: {answer.body[:200]!r}")
        else:
            self.ledger.read_succeeded(time.monotonic() - started)
        return 0

    def _choose_read(self) -> tuple[str, Callable[[Answer], bool]]:
        """A path, and what its answer has to be like."""
        known = self.ledger.any_acknowledged()
        draw = random.random()  # noqa: S311
        if draw < 0.4 and known and known.entry_id is not None:
            key = known.key
            return f"/entries/{known.entry_id}", lambda answer: _fields(answer).get("key") == key
        if draw < 0.6 and (pictured := self.ledger.any_pictured()):
            picture = png(pictured.key)
            return f"/pictures/{pictured.picture}", lambda answer: answer.body == picture
        if draw < 0.65:
            return "/", lambda answer: b"Guest book" in answer.body
        return f"/entries?limit={random.choice((1, 10, 50))}", lambda answer: "entries" in _fields(answer)  # noqa: S311

    def _write(self, connection: Connection) -> float:
        """One write with a key of its own. Returns how long to pause before the next."""
        key = str(uuid.uuid4())
        entry = {"author": random.choice(_AUTHORS), "message": f"Written by the traffic, {time.ctime()}.", "key": key}  # noqa: S311
        if random.randrange(_PICTURE_EVERY) == 0:  # noqa: S311
            entry["picture"] = base64.b64encode(png(key)).decode()
        started = time.monotonic()
        try:
            answer = connection.post("/entries", json.dumps(entry).encode(), "application/json")
        except NoAnswer as error:
            self.ledger.write_unknown(key, str(error))
            return 0
        fields = _fields(answer)
        if 200 <= answer.status < 300:
            self.ledger.write_acknowledged(key, fields.get("id"), fields.get("picture"), time.monotonic() - started)
            return 0
        if answer.status == 503 and fields.get("error") == "app_migrating":
            self.ledger.write_refused(key)
        else:
            self.ledger.write_unknown(key, f"{answer.status} {answer.body[:200]!r}")
        return _pause(answer)


def _fields(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer; empty when it is none."""
    try:
        fields = json.loads(answer.body)
    except ValueError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _pause(answer: Answer) -> float:
    """Seconds to wait after a refusal: what it asks for, at most one, so that the end of a block is seen soon."""
    asked = answer.retry_after or ""
    return min(float(asked), 1.0) if asked.isascii() and asked.isdigit() else 0.25

"""Both databases, the sessions open in them, and the threads that use those."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

import psycopg

from migrations_app.dataplane.database.connection import Cluster, explained
from migrations_app.dataplane.process import Check

Result = TypeVar("Result")
Session = psycopg.Connection[Any]

_CANCEL_SECONDS = 5.0


def nothing() -> None:
    """For those who wait and have nothing to do meanwhile."""


class Sides:
    """`source` and `dest` with `size` sessions each, open while the context is. Interrupted, they end their queries.

    Errors of the servers come out as StepError that name the region.
    """

    def __init__(self, source: Cluster, dest: Cluster, *, size: int, check: Check) -> None:
        self.source, self.dest = source, dest
        self.interrupted: BaseException | None = None
        self._check, self._size = check, size
        self._threads = ThreadPoolExecutor(3 * size)
        self._free: dict[Cluster, SimpleQueue[Session]] = {side: SimpleQueue() for side in (source, dest)}
        self._all: list[Session] = []
        self._open = ExitStack()

    def __enter__(self) -> Sides:
        try:
            self.wait([self.start(self._connect, side) for side in (self.source, self.dest) for _ in range(self._size)])
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            self.interrupted = error
            for session in list(self._all):
                with suppress(psycopg.Error):
                    session.cancel_safe(timeout=_CANCEL_SECONDS)
        self._threads.shutdown()
        self._open.close()

    def _connect(self, side: Cluster) -> None:
        session = self._open.enter_context(side.connect())
        session.execute("SET jit = off")
        self._all.append(session)
        self._free[side].put(session)

    def check(self) -> None:
        """For the threads: ends them once the main thread was interrupted."""
        if self.interrupted is not None:
            raise self.interrupted

    @contextmanager
    def session(self, side: Cluster) -> Iterator[Session]:
        """One of the side's sessions; waits for one that is free."""
        while True:
            self.check()
            try:
                session = self._free[side].get(timeout=0.5)
                break
            except Empty:
                pass
        try:
            with explained(side.region):
                self.check()
                yield session
        finally:
            self._free[side].put(session)

    def start(self, work: Callable[..., Result], *args: Any) -> Future[Result]:
        """Begin it in a thread. At most `size` of those may wait for what on() begins: its threads are of the same
        pool."""
        return self._threads.submit(work, *args)

    def on(self, side: Cluster, work: Callable[..., Result], *args: Any) -> Future[Result]:
        """Begin `work(session, *args)` on that side."""

        def in_session() -> Result:
            with self.session(side) as session:
                return work(session, *args)

        return self._threads.submit(in_session)

    def each(self, work: Callable[..., Result], *args: Any) -> list[Future[Result]]:
        """Begin it on both."""
        return [self.on(side, work, *args) for side in (self.source, self.dest)]

    def both(self, work: Callable[..., Result], *args: Any) -> tuple[Result, Result]:
        """What `work(session, *args)` returns at the source and at the destination. For the main thread."""
        at_source, at_dest = self.wait(self.each(work, *args))
        return at_source, at_dest

    def wait(self, futures: Iterable[Future[Result]], tick: Callable[[], None] = nothing) -> list[Result]:
        """The results, once all are there; `tick` is called several times a second, here in the caller's thread."""
        ordered = list(futures)
        pending = set(ordered)
        while pending:
            finished, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
            for future in finished:
                future.result()
            self._check()
            tick()
        return [future.result() for future in ordered]

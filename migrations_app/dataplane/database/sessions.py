"""Sessions that are used more than once: to open one anew each time would be most of the time that writes are blocked.

Only between kept() and its end; otherwise a session is closed after its use. Safe in many threads.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

Session = psycopg.Connection[Any]

_MOST = 4
"""Idle sessions of one kind."""

_idle: dict[Hashable, list[Session]] | None = None
_lock = threading.Lock()


@contextmanager
def kept() -> Iterator[None]:
    """Keep sessions open behind their use, until this ends; the outermost one, where several are under way."""
    global _idle
    if _idle is not None:
        yield
        return
    _idle = defaultdict(list)
    try:
        yield
    finally:
        with _lock:
            idle, _idle = _idle, None
        for session in (session for several in idle.values() for session in several):
            session.close()


def idle() -> list[int]:
    """Server process ids of those that are kept and not in use."""
    with _lock:
        return [session.info.backend_pid for several in (_idle or {}).values() for session in several]


@contextmanager
def taken(kind: Hashable, make: Callable[[], Session]) -> Iterator[Session]:
    """A session of that kind, as a new one is: one that was kept, or what `make` opens."""
    session = _of(kind) or make()
    try:
        yield session
    except BaseException:
        session.close()
        raise
    if not _keep(kind, session):
        session.close()


def _of(kind: Hashable) -> Session | None:
    while True:
        with _lock:
            idle = (_idle or {}).get(kind)
            if not idle:
                return None
            session = idle.pop()
        with suppress(psycopg.Error):  # its server may have gone, or its database been dropped
            session.execute("RESET ALL")
            return session
        session.close()


def _keep(kind: Hashable, session: Session) -> bool:
    if session.closed or session.info.transaction_status != TransactionStatus.IDLE:
        return False
    with _lock:
        if _idle is None or len(_idle[kind]) >= _MOST:
            return False
        _idle[kind].append(session)
        return True

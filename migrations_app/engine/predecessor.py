"""Ends what earlier runners of a row left behind, before the next one begins.

On this machine: the runner itself, if it only fell silent, and its subprocesses. In the portal's database: its
sessions, so that a transaction of a runner elsewhere rolls back. In the regions its sessions are ended by the first
session of this run there (dataplane/database/connection.py), and its late calls end themselves (dataplane/runner.py).
"""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db import connection

from migrations_app.dataplane import process_table
from migrations_app.dataplane.runner import MARKER, Runner
from migrations_app.engine.lease import Lease

_PATIENCE_SECONDS = 10.0


def evict(lease: Lease[Any]) -> None:
    """End all of it and wait until it is gone; what was found goes into the lease's notes.

    What was sent SIGKILL and is still there after ten seconds waits for a disk and will do nothing more by itself.
    """
    runner = lease.runner
    if lease.previous_is_alive:
        lease.note(f"The earlier runner {lease.previous_owner} had fallen silent and was still there.")
    if _end_runner(lease.previous_owner):
        lease.note(f"Ended the earlier runner {lease.previous_owner}.")
    if ended := _end_all(lambda: _subprocesses(runner), _kill):
        lease.note(f"Ended processes that an earlier runner had left on {socket.gethostname()}: {ended}.")
    if ended := _end_all(lambda: _portal_sessions(runner), _terminate):
        lease.note(f"Ended sessions that an earlier runner had left in the portal's database: {ended}.")


def _end_all(find: Callable[[], list[int]], end: Callable[[int], None]) -> int:
    """How many there were. Looks again and again, for what is being ended may just have begun another."""
    ended: set[int] = set()
    give_up_at = time.monotonic() + _PATIENCE_SECONDS
    while (found := find()) and time.monotonic() < give_up_at:
        for one in found:
            end(one)
        ended.update(found)
        time.sleep(0.02)
    return len(ended)


def _end_runner(owner: str) -> bool:
    """Whether it was on this machine and still there. Its name is what lease.owner() made."""
    host, pid, started = [*owner.rsplit(":", 2), "", ""][:3]
    if host != socket.gethostname() or not pid.isdecimal() or int(pid) == os.getpid():
        return False
    runner = int(pid)
    return _end_all(lambda: [runner] if started and process_table.started_at(runner) == started else [], _kill) > 0


def _subprocesses(runner: Runner) -> list[int]:
    return [pid for pid, mark in process_table.with_variable(MARKER) if runner.follows(mark)]


def _kill(pid: int) -> None:
    """With its group, if it leads one: a child of it may have an environment of its own."""
    with suppress(ProcessLookupError, PermissionError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
        else:
            os.kill(pid, signal.SIGKILL)


def _portal_sessions(runner: Runner) -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid, application_name FROM pg_stat_activity WHERE usename = current_user")
        return [pid for pid, name in cursor.fetchall() if runner.follows_session(name)]


def _terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

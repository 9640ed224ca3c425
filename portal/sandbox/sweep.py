"""Ends what a sandbox left running, and nothing else.

Every program carries its sandbox's state folder in a variable of its own (layout.MARKER), and so do its children.
PostgreSQL and Redis write over their environment: they are known by their name and the folder they work in.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from portal.sandbox.layout import MARKER, Layout, SandboxError

_SOFT_SECONDS = 15
_KILL_SECONDS = 5


def end_strays(layout: Layout) -> None:
    """End every process of this sandbox. SandboxError when one survives SIGKILL."""
    end(lambda: strays(layout))


def strays(layout: Layout) -> list[psutil.Process]:
    """All processes of this sandbox."""
    found = {process.pid: process for process in marked(MARKER, str(layout.root))}
    for process in _others():
        if process.pid not in found and _is_server_in(process, layout):
            found[process.pid] = process
    return list(found.values())


def marked(variable: str, value: str) -> list[psutil.Process]:
    """All processes, this one apart, that have `variable` set to `value`."""
    found = []
    for process in _others():
        try:
            if process.environ().get(variable) == value:
                found.append(process)
        except (psutil.Error, OSError):
            continue  # gone, a zombie, or somebody else's
    return found


def end(find: Callable[[], list[psutil.Process]]) -> None:
    """End the processes that `find` returns: politely, then by SIGKILL.

    `find` is asked again each time: what is ended first may have restarted or started another one.
    """
    for soft, seconds in ((True, _SOFT_SECONDS), (False, _KILL_SECONDS), (False, _KILL_SECONDS)):
        found = find()
        if not found:
            return
        for process in found:
            _signal(process, soft)
        psutil.wait_procs(found, timeout=seconds)
    left = find()
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise SandboxError(f"These processes of the sandbox do not end: {pids}.", hint="Look at them with `ps`.")


def _others() -> Iterator[psutil.Process]:
    own = psutil.Process().pid
    return (process for process in psutil.process_iter() if process.pid != own)


def _is_server_in(process: psutil.Process, layout: Layout) -> bool:
    try:
        name = process.name()
        if name == "postgres":
            # Root in a container may read another user's arguments, yet not its folder.
            arguments = process.cmdline()
            if arguments[1:2] == ["-D"] and _is_below(arguments[2], layout.clusters):
                return True
            return _is_below(process.cwd(), layout.clusters)
        return name in ("redis-server", "valkey-server") and _is_below(process.cwd(), layout.redis)
    except (psutil.Error, OSError):
        return False


def _is_below(path: str, folder: Path) -> bool:
    return Path(path).is_relative_to(folder)


def _signal(process: psutil.Process, soft: bool) -> None:
    try:
        if not soft:
            process.kill()
        elif process.name() != "postgres":
            process.terminate()
        else:
            parent = process.parent()
            # A server process ends its children itself; to those SIGINT would only mean "cancel the query".
            if parent is None or parent.name() != "postgres":
                process.send_signal(signal.SIGINT)
    except psutil.NoSuchProcess:
        pass

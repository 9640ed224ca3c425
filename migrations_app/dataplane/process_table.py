"""The processes of this machine, as /proc shows them. Where there is none, nothing is found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_STARTED_AT = 19
"""Position in /proc/PID/stat behind the command's name (proc(5): field 22)."""


def started_at(pid: int) -> str:
    """When the process started, in clock ticks since the machine did; empty when it is gone or a zombie."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[_STARTED_AT]


def with_variable(name: str) -> Iterator[tuple[int, str]]:
    """Every process that has the variable in its environment and lets us read it, with the value."""
    prefix = f"{name}=".encode()
    for folder in _PROC.glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue  # gone meanwhile, or another user's
        for entry in environment.split(b"\0") if prefix in environment else ():
            if entry.startswith(prefix):
                yield int(folder.name), entry.removeprefix(prefix).decode(errors="replace")

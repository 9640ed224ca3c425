"""The one place that starts subprocesses.

Argument lists only, a deadline always, output line by line. Secrets travel in the environment's files (PGPASSFILE,
RCLONE_CONFIG, NETRC) or on standard input, never in argv, and no output is logged here.

A subprocess dies with this process, whatever kills it. Its own children may outlive it; they carry its mark
(runner.py), by which the next runner finds and ends them (engine/predecessor.py).
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from migrations_app.dataplane import runner
from migrations_app.errors import PermanentError, TransientError

Check = Callable[[], None]
"""Called several times a second during long work; raises to interrupt it."""

OnLine = Callable[[str], None]

_DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--", "/bin/sh", "-c", '[ "$PPID" = "$0" ] && exec "$@"')
"""Followed by this process's id and the command. The shell sees whether we died before the signal was arranged. Python
with ctypes instead would take ten times as long to start as these two, which take 3 ms."""

_POLL_SECONDS = 0.1
_KEPT_STDERR_LINES = 40


def no_check() -> None:
    """For callers that never interrupt."""


@dataclass(frozen=True)
class Completed:
    """A finished subprocess: its exit status, its whole stdout, the last lines of its stderr."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr_tail: str

    def raise_for_status(self) -> Completed:
        """Raise TransientError when the exit status is not 0, with the last lines of stderr as the reason."""
        if self.returncode != 0:
            name = self.argv[0].rsplit("/", 1)[-1]
            how = f"ended by signal {-self.returncode}" if self.returncode < 0 else f"exit status {self.returncode}"
            last = self.stderr_tail.strip() or "it printed no reason"
            raise TransientError(f"{name}: {how}: {last}", code="subprocess_failed")
        return self


def run(
    argv: Sequence[str],
    *,
    deadline_seconds: float,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    check: Check = no_check,
    on_stderr_line: OnLine | None = None,
) -> Completed:
    """Run `argv` to its end, in a process group of its own.

    `env` is added to this process's environment. `check` is called ten times a second; when it raises, or when the
    deadline (seconds) passes, the whole process group is killed before the exception goes on.

    Errors: PermanentError `command_not_found`; TransientError `deadline` past the deadline; LeaseLost.
    """
    runner.check()
    process = _start(argv, env)
    output = _Output(process, stdin)
    try:
        for line in _lines_until_end(process, output, argv[0], deadline_seconds, check):
            if on_stderr_line:
                on_stderr_line(line)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what it may have left behind, which would hold its pipes
        process.wait()
        output.join()
    return Completed(tuple(argv), process.returncode, output.stdout, "\n".join(output.stderr_tail))


def _start(argv: Sequence[str], env: Mapping[str, str] | None) -> subprocess.Popen[bytes]:
    full_env = {**os.environ, **runner.environment(), **(env or {})}
    commands = [_find(command, full_env) for command in (_DIES_WITH_US[0], argv[0])]
    return subprocess.Popen(
        [commands[0], *_DIES_WITH_US[1:], str(os.getpid()), commands[1], *argv[1:]],
        env=full_env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _find(command: str, env: Mapping[str, str]) -> str:
    path = shutil.which(command, path=env.get("PATH", os.defpath))
    if path is None:
        raise PermanentError(
            f"The command {command} is not on this machine.",
            hint="Install it on the workers, or put its folder on their PATH.",
            code="command_not_found",
        )
    return path


def _lines_until_end(
    process: subprocess.Popen[bytes], output: _Output, name: str, deadline_seconds: float, check: Check
) -> Iterator[str]:
    """Lines of stderr as they come, in the caller's thread, until the process has ended."""
    give_up_at = time.monotonic() + deadline_seconds
    while True:
        ended = process.poll() is not None
        try:
            line = output.lines.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if ended:
                return
        else:
            if line is not None:
                yield line
            elif _ends_within(process, _POLL_SECONDS):
                return
        check()
        runner.check()
        if time.monotonic() > give_up_at:
            tool = name.rsplit("/", 1)[-1]
            raise TransientError(
                f"{tool} did not finish within {deadline_seconds:.0f} s and was ended.", code="deadline"
            )


def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


class _Output:
    """Feeds a subprocess and reads what it says, in threads, so that no full pipe stops it."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes) -> None:
        self.stdout = b""
        self.stderr_tail: deque[str] = deque(maxlen=_KEPT_STDERR_LINES)
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        """Of stderr, and None when it is closed: all but always, the process has ended then."""
        work: list[tuple[Callable[..., None], tuple[object, ...]]] = [
            (self._feed, (process.stdin, stdin)),
            (self._read_stdout, (process.stdout,)),
            (self._read_stderr, (process.stderr,)),
        ]
        self._threads = [threading.Thread(target=target, args=args, daemon=True) for target, args in work]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def _feed(self, pipe: IO[bytes], stdin: bytes) -> None:
        try:
            pipe.write(stdin)
            pipe.close()
        except BrokenPipeError:
            pass  # its exit status says why it stopped reading

    def _read_stdout(self, pipe: IO[bytes]) -> None:
        self.stdout = pipe.read()

    def _read_stderr(self, pipe: IO[bytes]) -> None:
        for raw in pipe:
            line = raw.decode(errors="replace").rstrip("\n")
            self.stderr_tail.append(line)
            self.lines.put(line)
        self.lines.put(None)

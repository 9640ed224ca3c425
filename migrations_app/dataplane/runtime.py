"""Programs on a region's runtime host: a supervisord, and a folder that its configuration includes.

The folder holds `<program>.conf` (a [program:<program>] section), `<program>/` (the release) and `region.env` (see
process_definition). A definition may hold secrets: close the folder to other users of its host.

All functions are idempotent and raise TransientError or PermanentError, as blobs and supervisor_rpc do.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from migrations_app.dataplane import blobs, plain_http, supervisor_rpc
from migrations_app.dataplane.process import Check, no_check
from migrations_app.dataplane.process_definition import parse_region_values, rewrite
from migrations_app.dataplane.supervisor_rpc import (
    ALREADY_ADDED,
    ALREADY_STARTED,
    BAD_NAME,
    NO_FILE,
    NOT_EXECUTABLE,
    SUCCESS,
    RpcFault,
)
from migrations_app.errors import PermanentError, TransientError

# supervisor.states.ProcessStates
_RUNNING = 20
_STOPPED_STATES = (0, 100, 200, 1000)  # STOPPED, EXITED, FATAL, UNKNOWN
_FAILED_STATES = (100, 200)

_POLL_SECONDS = 0.05
_STATE_SECONDS = 120.0
"""How long a program may take to start or stop; supervisord kills a stubborn one after its stopwaitsecs (10)."""

_PROGRAM = re.compile(r"[a-z][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Host:
    """A region's runtime: the URL of its supervisord, and the rclone path of its programs folder."""

    url: str
    path: str


def exists(host: Host, program: str) -> bool:
    """Whether the host has a definition of the program."""
    return blobs.is_file(_definition(host, program))


def deploy(program: str, source: Host, dest: Host, *, check: Check = no_check) -> None:
    """Bring the program's release and its definition, rewritten for `dest`, to `dest`. It is stopped there meanwhile.

    PermanentError when the definition needs a value that the region.env of `dest` lacks.
    """
    definition = rewrite(
        blobs.read_text(_definition(source, program)),
        parse_region_values(blobs.read_text(blobs.join(source.path, "region.env"))),
        parse_region_values(blobs.read_text(blobs.join(dest.path, "region.env"))),
    )
    stop(dest, program, wait=True, check=check)
    blobs.copy_tree(blobs.join(source.path, program), blobs.join(dest.path, program), check=check)
    blobs.write_text(_definition(dest, program), definition)


def start(host: Host, program: str, *, check: Check = no_check) -> None:
    """Let supervisord take up the definition as it is now, start the program, and wait until it runs.

    PermanentError `program_failed` when it ends right away; TransientError `deadline` when it neither runs nor ends.
    """
    _take_up_definition(host, program, check)
    started = supervisor_rpc.call(host.url, "startProcessGroup", program, False)
    if any(result["status"] in (NO_FILE, NOT_EXECUTABLE) for result in started):
        raise PermanentError(
            f"The command of {program} is not on {plain_http.where(host.url)}, or cannot be executed there.",
            hint="Its definition must name it by its whole path, and the host must have what it calls.",
            code="program_failed",
        )
    if any(result["status"] not in (SUCCESS, ALREADY_STARTED) for result in started):
        raise _failed(host, program)

    def running() -> bool:
        states = _states(host, program)
        if any(state in _FAILED_STATES for state in states):
            raise _failed(host, program)
        return bool(states) and all(state == _RUNNING for state in states)

    _wait(running, f"{program} at {plain_http.where(host.url)} does not come up", check)


def stop(host: Host, program: str, *, wait: bool = True, check: Check = no_check) -> None:
    """Stop the program; with `wait`, return only once its processes are gone. A program not known is stopped."""
    supervisor_rpc.call(host.url, "stopProcessGroup", _valid(program), False, accept=(BAD_NAME,))
    if wait:
        _wait(
            lambda: all(state in _STOPPED_STATES for state in _states(host, program)),
            f"{program} at {plain_http.where(host.url)} does not stop",
            check,
        )


def is_running(host: Host, program: str) -> bool:
    """Whether every process of the program runs."""
    states = _states(host, program)
    return bool(states) and all(state == _RUNNING for state in states)


def remove(host: Host, program: str, *, check: Check = no_check) -> None:
    """Stop the program and take it off the host: definition, release and supervisord's memory of it."""
    blobs.delete_file(_definition(host, program))  # first, so that a restart of supervisord cannot bring it back
    stop(host, program, wait=True, check=check)
    _forget(host, program)
    supervisor_rpc.call(host.url, "reloadConfig")
    blobs.purge(blobs.join(host.path, program), check=check)


def wait_healthy(url: str, *, deadline_seconds: float, check: Check = no_check) -> None:
    """Poll `url` until it answers 200. TransientError `unhealthy`, with the last answer, past the deadline."""
    last = "no answer"

    def healthy() -> bool:
        nonlocal last
        try:
            status = plain_http.request("GET", url, timeout_seconds=min(5.0, deadline_seconds)).status
        except plain_http.NoAnswer as error:
            last = str(error)
            return False
        last = f"status {status}"
        return status == 200

    give_up_at = time.monotonic() + deadline_seconds
    while not healthy():
        check()
        if time.monotonic() > give_up_at:
            raise TransientError(
                f"{url} did not become healthy within {deadline_seconds:.0f} s: {last}.", code="unhealthy"
            )
        time.sleep(_POLL_SECONDS)


def _take_up_definition(host: Host, program: str, check: Check) -> None:
    """Make supervisord's group of the program the one its definition describes; a changed one is stopped for it."""
    _valid(program)
    [[_, changed, _]] = supervisor_rpc.call(host.url, "reloadConfig")
    if program in changed:
        stop(host, program, wait=True, check=check)
        _forget(host, program)
    try:
        supervisor_rpc.call(host.url, "addProcessGroup", program, accept=(ALREADY_ADDED,))
    except RpcFault as fault:
        if fault.fault != BAD_NAME:
            raise
        raise PermanentError(
            f"The supervisord at {plain_http.where(host.url)} has no definition of {program}.",
            hint=f"Its configuration must include the *.conf files of {host.path}.",
            code="program_unknown",
        ) from fault


def _forget(host: Host, program: str) -> None:
    supervisor_rpc.call(host.url, "removeProcessGroup", program, accept=(BAD_NAME,))


def _failed(host: Host, program: str) -> PermanentError:
    return PermanentError(
        f"{program} at {plain_http.where(host.url)} ended as soon as it was started.",
        hint="Its log there says why (stderr_logfile of its definition, or supervisord's own log).",
        code="program_failed",
    )


def _definition(host: Host, program: str) -> str:
    return blobs.join(host.path, f"{_valid(program)}.conf")


def _valid(program: str) -> str:
    if not _PROGRAM.fullmatch(program):
        raise PermanentError(f"{program!r} is not a program's name.", code="program_invalid")
    return program


def _states(host: Host, program: str) -> list[int]:
    group = _valid(program)
    infos: list[dict[str, Any]] = supervisor_rpc.call(host.url, "getAllProcessInfo")
    return [info["state"] for info in infos if info["group"] == group]


def _wait(reached: Callable[[], bool], complaint: str, check: Check) -> None:
    give_up_at = time.monotonic() + _STATE_SECONDS
    while not reached():
        check()
        if time.monotonic() > give_up_at:
            raise TransientError(f"{complaint} within {_STATE_SECONDS:.0f} s.", code="deadline")
        time.sleep(_POLL_SECONDS)


def known(host: Host) -> set[str]:
    """Every program the host has a trace of: a definition, a release, or a group in supervisord's memory."""
    names = {info["group"] for info in supervisor_rpc.call(host.url, "getAllProcessInfo")}
    for name, is_folder in blobs.entries(host.path).items():
        if is_folder:
            names.add(name)
        elif name.endswith(".conf"):
            names.add(name.removesuffix(".conf"))
    return names

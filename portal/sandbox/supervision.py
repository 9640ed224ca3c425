"""The one supervisord that runs a sandbox: its configuration, its start, and what it is asked over XML-RPC."""

from __future__ import annotations

import http.client
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from portal.sandbox import readiness
from portal.sandbox.files import inet_http_server
from portal.sandbox.layout import MARKER, SandboxError, write_private
from portal.sandbox.servers import PORTAL, SERVERS, Program, environment_of, inherited_environment
from portal.sandbox.state import Sandbox

_LAUNCH_SECONDS = 20
_STOP_SECONDS = 60


@dataclass(frozen=True)
class Process:
    """A program as supervisord sees it; `state` is supervisord's word for it."""

    name: str
    state: str
    pid: int
    description: str


def configuration(sandbox: Sandbox, programs: Iterable[Program]) -> str:
    """supervisord.conf for `programs`."""
    at = sandbox.layout
    groups: dict[str, list[str]] = {}
    sections = []
    for program in programs:
        groups.setdefault(program.group, []).append(program.name)
        sections.append(_section(sandbox, program))
    head = (
        "[supervisord]\n"
        "nodaemon = true\n"
        "identifier = sandbox\n"
        # Relative to where supervisord is started: it expands the paths of logs twice, which no % survives.
        f"logfile = {at.log('supervisord').relative_to(at.root)}\n"
        "logfile_maxbytes = 10MB\n"
        "logfile_backups = 1\n"
        f"pidfile = {at.pid_file.relative_to(at.root)}\n"
        "umask = 077\n"
        + ("user = root\n" if os.geteuid() == 0 else "")
        + inet_http_server(sandbox.address("control"), sandbox.password("control"))
    )
    tail = "".join(f"[group:{group}]\nprograms = {','.join(names)}\n" for group, names in groups.items())
    return head + "".join(sections) + tail


def is_running(sandbox: Sandbox) -> bool:
    try:
        readiness.supervisor_answers(sandbox.address("control"), sandbox.password("control"))
    except readiness.NotReady:
        return False
    return True


def launch(sandbox: Sandbox, programs: Iterable[Program]) -> None:
    """Start supervisord, detached from this terminal, with `programs`. SandboxError when it does not answer."""
    at = sandbox.layout
    write_private(at.supervisord_file, configuration(sandbox, programs))
    errors = at.log("supervisord-errors")
    with errors.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(at.supervisord_file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            cwd=at.root,
            env={**inherited_environment(), MARKER: str(at.root)},
            start_new_session=True,
        )
    give_up_at = time.monotonic() + _LAUNCH_SECONDS
    while not is_running(sandbox):
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise SandboxError(
                f"The sandbox's supervisord did not start: {errors.read_text(errors='replace').strip()[-1000:]}",
                hint="`manage.py sandbox reset` removes the sandbox, if its files are damaged.",
            )
        time.sleep(0.05)


def extend(sandbox: Sandbox, programs: Iterable[Program]) -> None:
    """Make the running supervisord run exactly `programs`; those whose definition did not change go on running."""
    write_private(sandbox.layout.supervisord_file, configuration(sandbox, programs))
    rpc = _rpc(sandbox, seconds=_STOP_SECONDS)
    added, changed, removed = rpc.reloadConfig()[0]
    for group in (*changed, *removed):
        rpc.stopProcessGroup(group)
        rpc.removeProcessGroup(group)
    for group in (*added, *changed):
        rpc.addProcessGroup(group)
    for process in rpc.getAllProcessInfo():
        if process["statename"] in ("STOPPED", "EXITED", "FATAL"):
            try:
                rpc.startProcess(f"{process['group']}:{process['name']}", False)
            except xmlrpc.client.Fault:
                continue  # it has started by itself in between, or fails again: the wait for it says which


def processes(sandbox: Sandbox) -> list[Process]:
    """Every program that supervisord knows; none when it does not run."""
    try:
        found = _rpc(sandbox).getAllProcessInfo()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return []
    return [Process(p["name"], p["statename"], p["pid"], p["spawnerr"] or p["description"]) for p in found]


def shut_down(sandbox: Sandbox) -> None:
    """Stop the portal, then the servers, then supervisord. Does nothing when supervisord does not answer."""
    rpc = _rpc(sandbox, seconds=_STOP_SECONDS)
    for group in (PORTAL, SERVERS):
        try:
            rpc.stopProcessGroup(group)
        except xmlrpc.client.Fault:
            continue  # there is no such group: servers only
        except (OSError, http.client.HTTPException, xmlrpc.client.Error):
            return
    try:
        rpc.shutdown()
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return


def _rpc(sandbox: Sandbox, *, seconds: float = 5) -> Any:
    return readiness.supervisor_rpc(sandbox.address("control"), sandbox.password("control"), seconds=seconds)


def _section(sandbox: Sandbox, program: Program) -> str:
    values = ",".join(f'{name}="{value}"' for name, value in environment_of(sandbox, program).items())
    return (
        f"[program:{program.name}]\n"
        f"command = {_percent(shlex.join(program.argv))}\n"
        f"directory = {_percent(program.directory)}\n"
        f"environment = {_percent(values)}\n"
        + (f"user = {program.user}\n" if program.user else "")
        + f"stopsignal = {program.stop_signal}\n"
        f"stopwaitsecs = {program.stop_seconds}\n"
        "killasgroup = true\n"
        "autorestart = true\n"
        "startsecs = 1\n"
        "startretries = 5\n"
        "redirect_stderr = true\n"
        f"stdout_logfile = {sandbox.layout.log(program.name).relative_to(sandbox.layout.root)}\n"
        "stdout_logfile_maxbytes = 10MB\n"
        "stdout_logfile_backups = 1\n"
    )


def _percent(value: object) -> str:
    """supervisord expands %(…)s in every value."""
    return str(value).replace("%", "%%")

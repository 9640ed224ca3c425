"""up, down, reset and status: the sandbox as a whole."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

from migrations_app.dataplane.process import run
from portal.sandbox import clusters, files, ports, supervision
from portal.sandbox.environment import environment
from portal.sandbox.layout import CHECKOUT, Layout, SandboxError, find_layout, make_private, remove_tree, write_private
from portal.sandbox.readiness import NotReady
from portal.sandbox.servers import Program, portal_programs, server_programs
from portal.sandbox.state import REGIONS, Sandbox, load, new_state
from portal.sandbox.sweep import end_strays

Say = Callable[[str], None]

_READY_SECONDS = 60
_LOCK_SECONDS = 180
_MANAGE_SECONDS = 300
_LOG_LINES = 12
_MANAGE_LINES = 3


@dataclass(frozen=True)
class Status:
    """What runs. `running`: all that belongs to the sandbox does."""

    running: bool = False
    portal: str | None = None
    edge: str | None = None
    logins: str | None = None
    regions: list[dict[str, str]] = field(default_factory=list)
    processes: list[supervision.Process] = field(default_factory=list)

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def up(*, servers_only: bool = False, say: Say = lambda sentence: None) -> Status:
    """Start what is missing, and wait until it serves. Nothing that runs is stopped.

    `servers_only` leaves out migrating the portal's database, seeding it, and the portal's own programs. `say` gets a
    sentence before each act that takes time. A start that fails leaves no process, unless some ran before.
    SandboxError says what stands in the way; OSError (a full disk, a missing right) is left as it is.
    """
    at = find_layout()
    with _locked(at, create=True):
        sandbox = load(at) or _create(at)
        state = sandbox.state
        was_running = supervision.is_running(sandbox)
        state.with_portal = not servers_only or (was_running and state.with_portal)
        if was_running and _is_whole(sandbox):
            return _status(sandbox)
        try:
            if not was_running:
                end_strays(at)
                ports.settle(sandbox)
            sandbox.save()
            _start(sandbox, servers_only, was_running, say)
        except BaseException:
            if not was_running:
                _stop(at, sandbox)
            raise
        return _status(sandbox)


def down() -> None:
    """Stop everything. No process of the sandbox is left, whatever became of its supervisord."""
    at = find_layout()
    with _locked(at):
        _stop(at, load(at))


def reset() -> None:
    """Stop everything and remove every file. SandboxError for a folder that is not a sandbox's."""
    at = find_layout()
    if not at.root.exists():
        _stop(at, None)
        remove_tree(at.postgres_home)
        return
    _refuse_foreign(at)
    with _locked(at):
        _stop(at, _load_whatever(at))
        remove_tree(at.postgres_home)
        for path in at.root.iterdir():
            # What tells a sandbox from other folders goes last, so that a reset cut short can be done again.
            if path.is_dir():
                remove_tree(path)
            elif path not in (at.state_file, at.lock_file):
                path.unlink()
        at.state_file.unlink(missing_ok=True)
        remove_tree(at.root)


def status() -> Status:
    sandbox = load(find_layout())
    return _status(sandbox) if sandbox else Status()


def _start(sandbox: Sandbox, servers_only: bool, was_running: bool, say: Say) -> None:
    say("Preparing the regions.")
    files.write_all(sandbox)
    clusters.prepare(sandbox)
    servers, portal = server_programs(sandbox), portal_programs(sandbox)
    say("Starting the servers.")
    if was_running:
        known = {process.name for process in supervision.processes(sandbox)}
        supervision.extend(sandbox, [*servers, *(program for program in portal if program.name in known)])
    else:
        supervision.launch(sandbox, servers)
    _wait(sandbox, servers)
    clusters.create_portal_database(sandbox)
    sandbox.state.settled = True
    sandbox.save()
    if servers_only:
        return
    say("Preparing the portal's database.")
    _manage(sandbox, "migrate", "--noinput", "--verbosity=0")
    _manage(sandbox, "sandbox", "seed")
    say("Starting the portal.")
    supervision.extend(sandbox, [*servers, *portal])
    _wait(sandbox, [*servers, *portal])


def _create(at: Layout) -> Sandbox:
    """A new sandbox. What an earlier one left outside the state folder opens with passwords nobody knows any more."""
    end_strays(at)
    remove_tree(at.postgres_home)
    return Sandbox(at, new_state(ports.choose()))


def _wanted(sandbox: Sandbox) -> list[Program]:
    return server_programs(sandbox) + (portal_programs(sandbox) if sandbox.state.with_portal else [])


def _is_whole(sandbox: Sandbox) -> bool:
    return not _missing(sandbox, _wanted(sandbox))


def _missing(sandbox: Sandbox, programs: list[Program]) -> dict[str, str]:
    """The programs that do not serve, each with what is known about the reason."""
    seen = {process.name: process for process in supervision.processes(sandbox)}
    missing = {}
    for program in programs:
        process = seen.get(program.name)
        if process is None:
            missing[program.name] = "it does not run"
        elif process.state != "RUNNING":
            missing[program.name] = f"it is {process.state.lower()}: {process.description}"
        else:
            try:
                program.ready()
            except NotReady as reason:
                missing[program.name] = str(reason)
    return missing


def _wait(sandbox: Sandbox, programs: list[Program]) -> None:
    give_up_at = time.monotonic() + _READY_SECONDS
    while missing := _missing(sandbox, programs):
        fatal = [process.name for process in supervision.processes(sandbox) if process.state == "FATAL"]
        if fatal or time.monotonic() > give_up_at:
            name = fatal[0] if fatal else next(iter(missing))
            raise _explained(sandbox, name, missing.get(name, "it ends as soon as it starts"))
        time.sleep(0.1)


def _explained(sandbox: Sandbox, name: str, reason: str) -> SandboxError:
    log = sandbox.layout.log(name)
    try:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])
    except OSError:
        tail = ""
    hint = "Start it again with `manage.py sandbox up`; if it keeps failing, `manage.py sandbox reset` begins anew."
    if "No space left on device" in tail:
        hint = f"The disk of {sandbox.layout.root} or {sandbox.layout.postgres_home} is full: free some space."
    elif "ddress already in use" in tail:
        hint = "Another program has its port: stop that one, or `manage.py sandbox reset` and `up` choose new ports."
    return SandboxError(f"{name} does not serve: {reason}\nThe end of {log}:\n{tail}\n", hint=hint)


def _manage(sandbox: Sandbox, *argv: str) -> None:
    done = run(
        [sys.executable, str(CHECKOUT / "manage.py"), *argv],
        deadline_seconds=_MANAGE_SECONDS,
        env=environment(sandbox.layout),
    )
    if done.returncode:
        log = sandbox.layout.log("manage")
        write_private(log, done.stderr_tail)
        # The lines of a traceback are indented; what went wrong is not.
        last = [line for line in done.stderr_tail.splitlines() if line[:1].strip()][-_MANAGE_LINES:]
        raise SandboxError(
            "\n".join([f"`manage.py {' '.join(argv)}` failed on the sandbox's database:", *last, ""]),
            hint=f"All it said is in {log}. Correct that and run `manage.py sandbox up` again.",
        )


def _stop(at: Layout, sandbox: Sandbox | None) -> None:
    if sandbox:
        supervision.shut_down(sandbox)
    end_strays(at)
    at.pid_file.unlink(missing_ok=True)


def _load_whatever(at: Layout) -> Sandbox | None:
    """For a reset, which has to work on a damaged sandbox too."""
    try:
        return load(at)
    except SandboxError:
        return None


def _status(sandbox: Sandbox) -> Status:
    state = sandbox.state
    found = supervision.processes(sandbox)
    up_now = {process.name for process in found if process.state == "RUNNING"}
    return Status(
        running=all(program.name in up_now for program in _wanted(sandbox)),
        portal=sandbox.url("web") if state.with_portal else None,
        edge=sandbox.url("edge"),
        logins=str(sandbox.layout.logins_file) if state.with_portal else None,
        regions=[{"slug": place.slug, **region_parts(sandbox, place.slug)} for place in REGIONS],
        processes=found,
    )


def region_parts(sandbox: Sandbox, slug: str) -> dict[str, str]:
    """How the tools name a region's database server, blob store and runtime; credentials are in `environment()`."""
    host, port = sandbox.address(f"{slug}-postgres").split(":")
    return {
        "database": f"host={host} port={port} user=portal dbname=postgres",
        "blobs": f"{slug}:",
        "runtime": f"{sandbox.url(f'{slug}-supervisord')}/RPC2",
    }


def _refuse_foreign(at: Layout) -> None:
    """A SANDBOX_DIR that names a folder with other things in it must cost nobody those things."""
    names = {path.name for path in at.root.iterdir()}
    if at.state_file.name not in names and not names <= {at.lock_file.name, f".{at.state_file.name}.draft"}:
        raise SandboxError(
            f"{at.root} is not empty and is not a sandbox.", hint="Set SANDBOX_DIR to a folder of its own."
        )


@contextmanager
def _locked(at: Layout, *, create: bool = False) -> Iterator[None]:
    """One command at a time changes a sandbox; others wait, at most _LOCK_SECONDS."""
    if create:
        make_private(at.root)
        _refuse_foreign(at)
        at.root.chmod(0o700)
    elif not at.root.exists():
        yield
        return
    give_up_at = time.monotonic() + _LOCK_SECONDS
    while True:
        make_private(at.root)
        handle = os.open(at.lock_file, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # A reset may have removed the file between the two calls: that lock would keep nobody out.
            if at.lock_file.exists() and os.fstat(handle).st_ino == at.lock_file.stat().st_ino:
                break
        except BlockingIOError:
            pass
        os.close(handle)
        if time.monotonic() > give_up_at:
            raise SandboxError(
                "Another sandbox command has been at work on this sandbox for minutes.",
                hint="Wait for it, or end it, and try again.",
            )
        time.sleep(0.1)
    try:
        yield
    finally:
        os.close(handle)

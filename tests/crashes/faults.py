"""Forces faults in a worker, at points named by the environment. Run as `python -m tests.crashes.faults REGION`.

FAULT is a list, separated by commas, of `<kind>@<point>`; each strikes once, at the first time its point is reached by
any process of the worker. FAULT_STRUCK is a folder: the strike leaves a file there, with that name and the process id.
FAULT_CLOCK_HOURS puts the worker's clock off.

    kinds   kill         kill -9 of this process, the work-horse
            kill_worker  kill -9 of the worker, its parent: the work-horse has to follow
            stop         SIGSTOP of this process; somebody else sends SIGCONT. The worker takes itself for one of
                         another machine, or the next runner would end it
            fail         a lasting error
            pause        wait until somebody else has made the file `go` in FAULT_STRUCK
            crash=NAME   kill -9 of one of the sandbox's servers; its supervisord starts it again
    points  claim:before, claim:after           of the row, by compare-and-set
            <do|undo>:<step>:begin              the StepRun is written, nothing done
            <do|undo>:<step>:act                half-way: after the first act that is logged; act2: after the second …
            <do|undo>:<step>:effect             all is done in the regions, the StepRun does not say so yet
            <do|undo>:<step>:end                the StepRun says so, the next step has not begun
            teardown:<act>                      before the nth act of a teardown, from 0
            release:before                      the row is to be given back
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

Reach = Callable[[str], None]


def main(region: str) -> None:
    import django

    django.setup()
    from django.core.management import call_command

    faults = os.environ["FAULT"].split(",")
    install(faults, Path(os.environ["FAULT_STRUCK"]))
    if any(fault.startswith("stop@") for fault in faults):
        socket.gethostname = lambda: "elsewhere"
    with clock_off(float(os.environ.get("FAULT_CLOCK_HOURS", "0"))):
        call_command("work", region)


@contextmanager
def clock_off(hours: float) -> Iterator[None]:
    """The wall clock of this process and of its work-horses is wrong."""
    if not hours:
        yield
        return
    import time_machine

    with time_machine.travel(datetime.now(UTC) + timedelta(hours=hours), tick=True):
        yield


def install(faults: list[str], struck: Path) -> None:
    """Put the points into the engine of this process."""
    from migrations_app.engine import executor, teardown
    from migrations_app.engine.lease import Lease

    pending = {fault.partition("@")[2]: fault for fault in faults}

    def reach(point: str) -> None:
        fault = pending.pop(point, "")
        if fault and is_first(struck / fault):
            strike(fault.partition("@")[0], struck)

    for module in (executor, teardown):
        _around(module, "claim", reach, before="claim:before", after="claim:after")
    _around(Lease, "release", reach, before="release:before")
    _in_steps(reach)
    log, count = teardown.Teardown._act, iter(range(1000))

    def log_here(self: teardown.Teardown, text: str) -> None:
        reach(f"teardown:{next(count)}")
        log(self, text)

    teardown.Teardown._act = log_here  # type: ignore[method-assign]


def _around(owner: Any, name: str, reach: Reach, *, before: str = "", after: str = "") -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        reach(before)
        answer = original(*args, **kwargs)
        reach(after)
        return answer

    setattr(owner, name, wrapped)


def _in_steps(reach: Reach) -> None:
    from migrations_app.engine.journal import Journal
    from migrations_app.states import RunStatus

    begin, act, end = Journal.begin, Journal.act, Journal.end
    acts: Counter[int] = Counter()

    def place(journal: Journal) -> str:
        return f"{journal.run.direction}:{journal.run.step}" if journal.run else ""

    def begin_here(journal: Journal, *args: Any) -> None:
        begin(journal, *args)
        reach(f"{place(journal)}:begin")

    def act_here(journal: Journal, text: str) -> None:
        act(journal, text)
        if journal.run:
            acts[journal.run.pk] += 1
            nth = acts[journal.run.pk]
            reach(f"{place(journal)}:act{nth if nth > 1 else ''}")

    def end_here(journal: Journal, status: RunStatus, **kwargs: Any) -> None:
        here, done = place(journal), status in (RunStatus.DONE, RunStatus.SKIPPED)
        if done:
            reach(f"{here}:effect")
        end(journal, status, **kwargs)
        if done:
            reach(f"{here}:end")

    Journal.begin, Journal.act, Journal.end = begin_here, act_here, end_here  # type: ignore[method-assign,assignment]


def is_first(mark: Path) -> bool:
    """Make the mark; False when another process has made it."""
    try:
        with mark.open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return False
    return True


def strike(kind: str, struck: Path) -> None:
    from migrations_app.errors import PermanentError

    if kind == "fail":
        raise PermanentError("A fault was forced.", code="forced")
    if kind.startswith("crash="):
        crash(kind.removeprefix("crash="))
        return
    if kind == "pause":
        while not (struck / "go").exists():
            time.sleep(0.01)
        return
    if kind == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    os.kill(os.getppid() if kind == "kill_worker" else os.getpid(), signal.SIGKILL)
    signal.pause()  # until the signal that follows the parent's death


def crash(server: str) -> None:
    from portal.sandbox import lifecycle

    (process,) = [process for process in lifecycle.status().processes if process.name == server]
    os.kill(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
    main(sys.argv[1])

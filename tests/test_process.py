from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from migrations_app.dataplane import process
from migrations_app.dataplane.process import run
from migrations_app.errors import AbortRequested, PermanentError, TransientError
from tests.waiting import wait_until


def python(code: str, **options: object) -> object:
    return run([sys.executable, "-c", code], deadline_seconds=30, **options)  # type: ignore[arg-type]


def test_output_comes_back_and_lines_are_seen_as_they_come() -> None:
    lines: list[str] = []
    done = run(
        [sys.executable, "-c", "import sys; print(sys.stdin.read()); print('a\\nb', file=sys.stderr)"],
        deadline_seconds=30,
        stdin=b"in",
        on_stderr_line=lines.append,
    )
    assert (done.returncode, done.stdout, lines) == (0, b"in\n", ["a", "b"])


def test_a_failure_carries_the_last_lines_of_stderr() -> None:
    with pytest.raises(TransientError, match=r"exit status 3: out of luck"):
        run(
            [sys.executable, "-c", "import sys; sys.exit(print('out of luck', file=sys.stderr) or 3)"],
            deadline_seconds=30,
        ).raise_for_status()


def test_much_output_does_not_stop_it() -> None:
    done = run(
        [sys.executable, "-c", "import sys; sys.stderr.write('x\\n' * 200000); print('y' * 10**6)"], deadline_seconds=30
    )
    assert len(done.stdout) == 10**6 + 1


def test_one_that_closes_its_stderr_is_waited_for() -> None:
    assert run(["sh", "-c", "exec 2>&-; sleep 0.3; exit 3"], deadline_seconds=30).returncode == 3


def test_a_child_that_holds_its_stderr_is_not_waited_for() -> None:
    assert run(["sh", "-c", "sleep 1000 & exit 3"], deadline_seconds=30).returncode == 3


def test_a_missing_command_says_so() -> None:
    with pytest.raises(PermanentError, match="not on this machine"):
        run(["/no/such/command"], deadline_seconds=1)


def test_it_dies_with_the_process_that_started_it() -> None:
    code = "from migrations_app.dataplane.process import run; run(['sleep', '1000'], deadline_seconds=1000)"
    with subprocess.Popen([sys.executable, "-c", code]) as parent:
        started = psutil.Process(parent.pid).children
        wait_until(lambda: [child for child in started() if child.name() == "sleep"])
        (sleeper,) = started()
        parent.kill()
    wait_until(lambda: not sleeper.is_running() or sleeper.status() == psutil.STATUS_ZOMBIE)


def test_it_does_not_begin_when_the_process_that_started_it_is_dead_already() -> None:
    prefix = [*process._DIES_WITH_US, str(os.getpid() + 1), "echo", "began"]
    done = subprocess.run(prefix, capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")


@pytest.mark.parametrize("how", ["deadline", "interrupt"])
def test_what_it_started_is_ended_with_it(tmp_path: Path, how: str) -> None:
    """Its whole process group: pg_dump -j has children."""
    pid_file = tmp_path / "child"
    code = (
        "import subprocess, sys, time; child = subprocess.Popen(['sleep', '100']);"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid)); time.sleep(100)"
    )

    def check() -> None:
        if how == "interrupt" and pid_file.exists() and pid_file.read_text():
            raise AbortRequested

    with pytest.raises((TransientError, AbortRequested)):
        run([sys.executable, "-c", code], deadline_seconds=2 if how == "deadline" else 30, check=check)
    child = int(pid_file.read_text())
    give_up_at = time.monotonic() + 10
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < give_up_at
        time.sleep(0.01)
    assert not [thread for thread in threading.enumerate() if "_read_stderr" in thread.name]

"""The portal's web server on the database of the test, run by the command the sandbox runs it with."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.db import connection

from portal.sandbox import readiness
from portal.sandbox.layout import find_layout
from portal.sandbox.servers import portal_programs
from portal.sandbox.state import require


@contextmanager
def serving() -> Iterator[str]:
    """Yields its address."""
    sandbox = require(find_layout())
    web = next(program for program in portal_programs(sandbox) if program.name == "web")
    database, _, _ = os.environ["DATABASE_URL"].rpartition("/")
    environment = {**os.environ, **web.env, "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}"}
    log = Path(os.environ["MOVES_WORK_DIR"]) / "bench-web.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *web.argv[1:]], cwd=web.directory, env=environment, stdout=output, stderr=output
        )
        try:
            _wait_for(sandbox.address("web"), process)
            yield sandbox.address("web")
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    give_up_at = time.monotonic() + 30
    while True:
        try:
            readiness.http_answers(address, "/healthz")
            return
        except readiness.NotReady:
            assert process.poll() is None, "gunicorn did not start"
            assert time.monotonic() < give_up_at, "gunicorn does not answer"
            time.sleep(0.1)

"""The portal on the tests' database: gunicorn, and a worker for a region as soon as somebody wants one."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import psutil
import redis
from django.conf import settings
from django.db import connection

from migrations_app.models import Region
from tests.crashes.scene import Program
from tests.guestbook import free_port
from tests.waiting import wait_until

HOST = "127.0.0.1"
ENV = {
    "MOVES_FOUR_EYES": "move,teardown",
    "MOVES_BACKOFF_MAX_SECONDS": "1",
    "MOVES_STEP_TRIES": "2",
    "MOVES_ALARM_SECONDS": "86400",  # nothing here needs a reconciler: nobody should miss it
}
_SERVES_SECONDS = 30
_IDLE_SECONDS = 60
_STOPS_SECONDS = 5


class Portal:
    """Its processes see the same rows as the test, and read the same settings but for those in ENV, and `env`."""

    def __init__(self, marks: Path, **env: str) -> None:
        self.port = free_port(HOST)
        self.url = f"http://{HOST}:{self.port}"
        redis_url = settings.REDIS_URL.rpartition("/")[0] + "/9"  # what others ring for is not for our workers
        redis.from_url(redis_url).flushdb()
        database = os.environ["DATABASE_URL"].rpartition("/")[0]
        self.env = {
            **os.environ,
            **ENV,
            "DATABASE_URL": f"{database}/{connection.settings_dict['NAME']}",
            "REDIS_URL": redis_url,
            "MOVES_WORK_DIR": str(settings.MOVES_WORK_DIR),
            **env,
        }
        self.redis_url = redis_url
        marks.mkdir(parents=True, exist_ok=True)
        self._marks = marks
        self._web: Program | None = None
        self._workers: dict[str, Program] = {}
        self.serve()

    # -- web ----------------------------------------------------------------------------------------------------------

    def serve(self) -> None:
        """Start gunicorn, and wait until it answers."""
        command = ("-m", "gunicorn", "portal.wsgi", "--bind", f"{HOST}:{self.port}", "--threads", "8")
        self._web = Program((*command, "--no-control-socket"), self.env)
        try:
            wait_until(self._answers, _SERVES_SECONDS)
        except AssertionError:
            self.stop_serving()
            raise

    def stop_serving(self) -> None:
        if self._web:
            self._web.end()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:  # noqa: S310
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    # -- workers ------------------------------------------------------------------------------------------------------

    def work(self, region: Region | str, **env: str) -> None:
        """Have a worker for that region, from here on; another one if there is one with another environment."""
        worker, env = self._workers.get(str(region)), {**self.env, **env}
        if worker and worker.env == env:
            return
        self.end_workers([str(region)])
        self._workers[str(region)] = Program(("manage.py", "work", str(region)), env)

    def work_with_faults(self, region: Region | str, *faults: str) -> Path:
        """A worker with faults (tests/crashes/faults.py) in place of the sound one. In the folder answered with, a file
        for each fault that has struck; `pause` goes on as soon as there is one called `go`."""
        self.end_workers([str(region)])
        struck = Path(mkdtemp(dir=self._marks))
        env = {**self.env, "FAULT": ",".join(faults), "FAULT_STRUCK": str(struck)}
        self._workers[str(region)] = Program(("-m", "tests.crashes.faults", str(region)), env)
        return struck

    def reconcile(self) -> None:
        self._workers["reconciler"] = Program(("manage.py", "reconcile"), self.env)

    def end_workers(self, regions: Iterable[str]) -> None:
        for region in regions:
            if worker := self._workers.pop(region, None):
                worker.process.terminate()  # so that it takes itself off RQ's books
                with suppress(subprocess.TimeoutExpired):
                    worker.process.wait(_STOPS_SECONDS)
                worker.end()

    def end_faulty_workers(self) -> None:
        """The sound ones stay, for the next test."""
        self.end_workers([region for region, worker in self._workers.items() if "FAULT" in worker.env])

    def come_to_rest(self) -> None:
        """No worker works on anything: what is left of a test stands still."""
        self.end_faulty_workers()
        redis.from_url(self.redis_url).flushdb()
        for region, worker in [*self._workers.items()]:
            try:
                wait_until(lambda: not _horses(worker), _IDLE_SECONDS)  # noqa: B023
            except AssertionError:
                self.end_workers([region])

    def end(self) -> None:
        self.end_workers([*self._workers])
        self.stop_serving()


def _horses(worker: Program) -> list[psutil.Process]:
    try:
        return psutil.Process(worker.process.pid).children()
    except psutil.NoSuchProcess:
        return []

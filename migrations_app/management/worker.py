"""RQ's worker, with what its work-horse needs: to be told of a stop, and to die with its worker."""

from __future__ import annotations

import ctypes
import os
import signal

import rq
from rq.job import Job
from rq.queue import Queue

from migrations_app import bell
from migrations_app.engine import stopping

_PR_SET_PDEATHSIG = 1
_STOPS = (signal.SIGTERM, signal.SIGINT)


class Worker(rq.Worker):
    """On SIGTERM or Ctrl-C the work-horse is told to hand back what it works on, and the bell rings for it again.

    RQ alone would wait until the move is at its end. A second signal kills the work-horse, as with RQ.
    """

    def execute_job(self, job: Job, queue: Queue) -> None:
        super().execute_job(job, queue)
        if self._stop_requested and job.func_name:
            bell.ring(job.func_name, job.args[0], bell.region_of(queue))  # by now RQ has forgotten the job

    def fork_work_horse(self, job: Job, queue: Queue) -> None:
        # A signal that comes between the fork and the horse's own handler waits.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        super().fork_work_horse(job, queue)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        if self._stop_requested:
            self._tell_horse()

    def setup_work_horse_signals(self) -> None:
        super().setup_work_horse_signals()
        signal.signal(signal.SIGTERM, stopping.ask)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOPS)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != self.pid:
            os._exit(1)  # it died before that

    def handle_warm_shutdown_request(self) -> None:
        super().handle_warm_shutdown_request()
        self._tell_horse()

    def _tell_horse(self) -> None:
        if self.horse_pid:
            os.kill(self.horse_pid, signal.SIGTERM)

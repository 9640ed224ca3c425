from __future__ import annotations

import signal
import time
from threading import Event
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import CommandParser
from django.db import InterfaceError, OperationalError, connection

from migrations_app.delivery.sender import Sender, deliver_all, tidy
from migrations_app.engine.reconciler import going_on
from migrations_app.management.base import PortalCommand

log = structlog.get_logger()

_TIDY_SECONDS = 60.0


class Command(PortalCommand):
    help = (
        "Again and again: send the webhooks and mails that are due, try again what failed, give up what has failed for "
        "a day. Several may run at once. Told to stop, it finishes what is under way."
    )

    surface = "sender"
    is_for_people = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="send what is due now, then end")

    def run(self, **options: Any) -> None:
        if options["once"]:
            tries = deliver_all()
            self.answer({"tries": tries}, f"Tried {tries}.")
            return
        stop = Event()
        for told in (signal.SIGTERM, signal.SIGINT):
            signal.signal(told, lambda *_: stop.set())
        self._loop(stop)

    def _loop(self, stop: Event) -> None:
        sender, tidy_at = Sender(), 0.0
        while not (stop.is_set() and sender.is_idle):
            try:
                if not stop.is_set():
                    if time.monotonic() >= tidy_at:
                        tidy_at = time.monotonic() + _TIDY_SECONDS
                        with going_on("tidy"):
                            tidy()
                    sender.start()
                if sender.is_idle:
                    stop.wait(settings.MOVES_DELIVER_SECONDS)
                else:
                    sender.finish(settings.MOVES_DELIVER_SECONDS)
            except (OperationalError, InterfaceError) as error:
                log.warning("deliver.database_away", error=type(error).__name__)
                connection.close()
                stop.wait(settings.MOVES_DELIVER_SECONDS)

from __future__ import annotations

import time
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import CommandParser
from django.db import OperationalError, close_old_connections

from migrations_app.engine.reconciler import one_round
from migrations_app.management.base import PortalCommand

log = structlog.get_logger()


class Command(PortalCommand):
    help = "Ring, again and again, for every move and teardown that is due and that nobody works on."

    surface = "reconciler"
    is_for_people = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="one round, then end")

    def run(self, **options: Any) -> None:
        if options["once"]:
            rung = one_round()
            self.answer({"rung": rung}, f"Rang for {rung}.")
            return
        while True:
            try:
                one_round()
            except OperationalError as error:
                log.warning("reconcile.database_away", error=type(error).__name__)
            close_old_connections()
            time.sleep(settings.MOVES_RECONCILE_SECONDS)

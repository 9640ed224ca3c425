from __future__ import annotations

import time
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import CommandParser
from django.db import InterfaceError, OperationalError, connection

from migrations_app.engine.leadership import leads
from migrations_app.engine.reconciler import going_on, one_round
from migrations_app.engine.watching import Watch
from migrations_app.management.base import PortalCommand

log = structlog.get_logger()


class Command(PortalCommand):
    help = (
        "Ring for every move and teardown that is due and that nobody works on, again and again; let approvals expire, "
        "watch the retained replicas, raise alarms. Of several, one does it; the others wait to take over."
    )
    examples = (
        ("Again and again, until told to stop", "reconcile"),
        ("One round, to try it", "reconcile --once"),
    )

    surface = "reconciler"
    is_for_people = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--once", action="store_true", help="one round, whoever else goes any, then end")

    def run(self, **options: Any) -> None:
        if options["once"]:
            rung = one_round()
            Watch().look_once()
            self.answer({"rung": rung}, f"Rang for {rung}.")
            return
        watch, led = Watch(), None
        while True:
            try:
                if led != (led := leads()):
                    log.info("reconcile.leads" if led else "reconcile.another_one_leads")
                if led:
                    one_round()
                    with going_on("watch"):
                        watch.look()
            except (OperationalError, InterfaceError) as error:
                log.warning("reconcile.database_away", error=type(error).__name__)
                connection.close()  # and with it the lead; Django opens another session in the next round
            time.sleep(settings.MOVES_RECONCILE_SECONDS)

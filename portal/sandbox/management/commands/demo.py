"""`manage.py demo`: the main job, on this machine: a real move under real traffic."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from django.core.management.base import CommandError, CommandParser

from migrations_app.errors import PortalError
from migrations_app.management.base import PortalCommand
from portal.sandbox.layout import CHECKOUT, find_layout

_STARTED_HERE = "DEMO_STARTED_SANDBOX"


class Command(PortalCommand):
    help = (
        "Start the sandbox, fill a guest book, move it to another region under traffic, reverse the move, tear the "
        "replica down, and look up every acknowledged write. Leaves the portal running."
    )
    requires_system_checks = []
    is_for_people = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=int, default=50_000, help="entries in the guest book (50000)")
        parser.add_argument("--exit", action="store_true", help="leave nothing running")

    def run(self, **options: Any) -> None:
        try:
            self._in_sandbox(options)
        except ModuleNotFoundError as error:
            raise CommandError(f"The demo needs {error.name}: install requirements.lock.") from error

    def _in_sandbox(self, options: dict[str, Any]) -> None:
        from portal.sandbox import lifecycle
        from portal.sandbox.environment import environment

        started_here = _STARTED_HERE in os.environ
        if not started_here:
            was_running = lifecycle.status().running
            lifecycle.up(say=self._say)
            # Django's settings were read before the sandbox was there: begin again inside it.
            variables = {**os.environ, **environment(), _STARTED_HERE: "" if was_running else "1"}
            os.execve(sys.executable, [sys.executable, str(CHECKOUT / "manage.py"), *sys.argv[1:]], variables)  # noqa: S606
        stop_after = options["exit"] and os.environ[_STARTED_HERE] == "1"
        try:
            report, ok = self._demo(options)
        finally:
            if stop_after:
                lifecycle.down()
        if not options["exit"]:
            status = lifecycle.status()
            self._say(f"\nThe portal runs at {status.portal}/ — logins are in {status.logins}")
            self._say("`.venv/bin/python manage.py sandbox down` stops it.")
        if self.as_json:
            self.stdout.write(json.dumps(report))
        if not ok:
            self.stderr.write("The demo did not go as it should; see above.")
            sys.exit(1)

    def _demo(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        from portal.sandbox.demo import Demo
        from portal.sandbox.state import require

        if options["rows"] < 1:
            raise PortalError(f"--rows is {options['rows']}.", hint="Give 1 or more.")
        return Demo(require(find_layout()), rows=options["rows"], say=self._say, quiet=False).run()

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()

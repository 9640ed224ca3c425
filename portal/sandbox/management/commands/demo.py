"""`manage.py demo`: the main job, on this machine: a real move under real traffic."""

from __future__ import annotations

import os
import sys
from typing import Any

from django.core.management.base import CommandParser

from migrations_app.errors import InvalidInput, PortalError
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from portal.sandbox.layout import CHECKOUT, find_layout

_STARTED_HERE = "DEMO_STARTED_SANDBOX"


class Command(PortalCommand):
    help = (
        "Move a guest book to another region under traffic, and back: starts the sandbox, fills the book, moves it, "
        "reverses the move, tears the replica down, and looks up every acknowledged write. Leaves the portal running."
    )
    failed = "a write was lost or doubled, a move did not complete, or it could not be run"
    examples = (
        ("Run it and leave the portal running, to look around", "demo"),
        ("A larger guest book", "demo --rows 500000"),
        ("Leave nothing running, and print what came of it as one JSON object", "demo --exit --json"),
    )
    requires_system_checks = []
    is_for_people = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--rows", type=int, default=50_000, metavar="N", help="entries in the guest book (50000)")
        parser.add_argument("--exit", action="store_true", help="leave nothing running")

    def run(self, **options: Any) -> None:
        if options["rows"] < 1:
            raise InvalidInput(f"--rows is {options['rows']}.", hint="Give 1 or more.", code="invalid_number")
        try:
            self._in_sandbox(options)
        except ModuleNotFoundError as error:
            raise PortalError(
                f"The demo needs {error.name}, which is not installed.",
                hint=f"{sys.executable} -m pip install -r requirements.lock",
                code="not_installed",
            ) from error

    def _in_sandbox(self, options: dict[str, Any]) -> None:
        from portal.sandbox import lifecycle
        from portal.sandbox.environment import environment

        started_here = _STARTED_HERE in os.environ
        if not started_here:
            was_running = lifecycle.status().running
            lifecycle.up(say=self.say)
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
            self.say(f"\nThe portal runs at {status.portal}/ — logins are in {status.logins}")
            self.say("`.venv/bin/python manage.py sandbox down` stops it.")
        if self.as_json or not ok:
            self.answer(report, "The demo did not go as it should; see above.")
        if not ok:
            sys.exit(EXIT_FAILED)

    def _demo(self, options: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        from portal.sandbox.demo import Demo
        from portal.sandbox.state import require

        return Demo(require(find_layout()), rows=options["rows"], say=self.say, quiet=self.as_json).run()

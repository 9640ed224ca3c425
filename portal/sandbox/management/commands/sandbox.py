"""`manage.py sandbox up | down | status | reset | env`: three real regions and an edge on this machine.

The sandbox's modules are imported where they are used: a production install lacks what they need.
"""

from __future__ import annotations

import errno
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any, cast

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from rich.console import Console
from rich.table import Table

from migrations_app.errors import PortalError
from portal.sandbox.layout import find_layout

if TYPE_CHECKING:
    from portal.sandbox.lifecycle import Status


class Command(BaseCommand):
    help = "Three real regions and an edge on this machine, for the demo, the tests and development."
    requires_system_checks = []
    is_for_people = False

    def add_arguments(self, parser: CommandParser) -> None:
        # The five that people use; `seed` is what `up` itself calls.
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="{up,down,status,reset,env}")

        up = verbs.add_parser("up", help="Start what is missing and wait until it serves.")
        up.add_argument("--servers-only", action="store_true", help="Leave out the portal itself.")
        up.add_argument("--json", action="store_true", help="Print what `status --json` prints.")
        verbs.add_parser("down", help="Stop everything; the data stays.")
        status = verbs.add_parser("status", help="What runs. Exit status 0 when all does, else 1.")
        status.add_argument("--json", action="store_true", help="One JSON object.")
        verbs.add_parser("reset", help="Stop everything and remove every file.")
        verbs.add_parser(
            "env",
            help='`eval "$(.venv/bin/python manage.py sandbox env)"` sets a shell up for psql, rclone, manage.py.',
        )
        verbs.add_parser("seed")

    def handle(self, *args: Any, **options: Any) -> None:
        with _in_sentences():
            getattr(self, f"_{options['verb']}")(**options)

    def _up(self, *, servers_only: bool, json: bool, **options: Any) -> None:
        from portal.sandbox import lifecycle

        # Standard output is for the JSON object alone.
        say = partial(self.stderr.write, style_func=str) if json else self.stdout.write
        status = lifecycle.up(servers_only=servers_only, say=say)
        if json:
            self._print_json(status)
            return
        if status.portal:
            self.stdout.write(f"The portal is at {status.portal}/ — logins are in {status.logins}")
        self.stdout.write(f"The edge is at {status.edge}")
        for region in status.regions:
            self.stdout.write(f"{region['slug']}: {region['database']}")
        self.stdout.write(
            '`eval "$(.venv/bin/python manage.py sandbox env)"` sets a shell up for psql, rclone and manage.py.'
        )

    def _down(self, **options: Any) -> None:
        from portal.sandbox import lifecycle

        lifecycle.down()
        self.stdout.write("The sandbox is down; its data is kept.")

    def _reset(self, **options: Any) -> None:
        from portal.sandbox import lifecycle

        lifecycle.reset()
        self.stdout.write("The sandbox is gone.")

    def _env(self, **options: Any) -> None:
        from portal.sandbox.environment import environment

        for name, value in environment().items():
            self.stdout.write(f"export {name}={shlex.quote(value)}")

    def _seed(self, **options: Any) -> None:
        from portal.sandbox.provision import seed

        seed()

    def _status(self, *, json: bool, **options: Any) -> None:
        from portal.sandbox import lifecycle

        status = lifecycle.status()
        if json:
            self._print_json(status)
        else:
            self._print_table(status)
        if not status.running:
            raise SystemExit(1)

    def _print_json(self, status: Status) -> None:
        self.stdout.write(json.dumps(status.as_json()))

    def _print_table(self, status: Status) -> None:
        console = Console(file=cast(IO[str], self.stdout))
        if not status.processes:
            console.print("The sandbox is not running. `manage.py sandbox up` starts it.")
            return
        table = Table("process", "state", "pid", "")
        for process in status.processes:
            table.add_row(process.name, process.state.lower(), str(process.pid or ""), process.description)
        console.print(table)
        if status.portal:
            console.print(f"portal  {status.portal}/  (logins: {status.logins})", soft_wrap=True)
        console.print(f"edge    {status.edge}", soft_wrap=True)
        if not status.running:
            console.print("Not everything runs. `manage.py sandbox up` starts what is missing.")


@contextmanager
def _in_sentences() -> Iterator[None]:
    """What goes wrong on a machine becomes a sentence and exit status 1."""
    try:
        yield
    except PortalError as error:
        raise CommandError(str(error)) from error
    except ModuleNotFoundError as error:
        install = f"{sys.executable} -m pip install -r requirements.lock"
        raise CommandError(f"The sandbox needs {error.name}, which is not installed: `{install}`.") from error
    except DatabaseError as error:
        raise CommandError(f"The portal's database does not answer as it should: {error}".strip()) from error
    except OSError as error:
        where = error.filename or find_layout().root
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise CommandError(f"The disk is full at {where}. Free some space and try again.") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise CommandError(
                f"{where} cannot be written or run by this user. Use the user who made the sandbox, or set SANDBOX_DIR "
                "to a folder of your own."
            ) from error
        raise CommandError(f"{error}. `manage.py sandbox reset` begins anew.") from error
    except subprocess.SubprocessError as error:
        raise CommandError(f"{error}. `manage.py sandbox reset` begins anew.") from error

"""`manage.py sandbox up | down | status | reset | env`: three real regions and an edge on this machine.

The sandbox's modules are imported where they are used: a production install lacks what they need.
"""

from __future__ import annotations

import errno
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any, cast

from django.core.management.base import CommandParser
from django.db import DatabaseError
from rich.console import Console
from rich.table import Table

from migrations_app.errors import PortalError
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from portal.sandbox.layout import find_layout

if TYPE_CHECKING:
    from portal.sandbox.lifecycle import Status


class Command(PortalCommand):
    help = "Three real regions and an edge on this machine, for the demo, the tests and development."
    failed = "failed while doing it; status: not everything runs"
    examples = (
        ("Start what is missing, the portal with it", "sandbox up"),
        ("What runs, and where, for a program", "sandbox status --json"),
        ("Stop everything and remove every file", "sandbox reset"),
    )
    requires_system_checks = []
    is_for_people = False

    def add_arguments(self, parser: CommandParser) -> None:
        # The five that people use; `seed` is what `up` itself calls.
        verbs = parser.add_subparsers(
            dest="verb", required=True, metavar="VERB", help="what to do; each has its --help"
        )

        up = self.add_verb(verbs, "up", "start what is missing and wait until it serves")
        up.add_argument("--servers-only", action="store_true", help="leave out the portal itself")
        self.add_verb(verbs, "down", "stop everything; the data stays")
        self.add_verb(verbs, "status", "what runs; exit status 0 when all does, else 1")
        self.add_verb(verbs, "reset", "stop everything and remove every file")
        self.add_verb(
            verbs,
            "env",
            'what sets a shell up for psql, rclone and manage.py: `eval "$(.venv/bin/python manage.py sandbox env)"`',
        )
        verbs.add_parser("seed")

    def run(self, **options: Any) -> None:
        with _in_sentences():
            getattr(self, f"_{options['verb']}")(**options)

    def _up(self, *, servers_only: bool, **options: Any) -> None:
        from portal.sandbox import lifecycle

        status = lifecycle.up(servers_only=servers_only, say=self.say)
        portal = [f"The portal is at {status.portal}/ — logins are in {status.logins}"] if status.portal else []
        regions = [f"{region['slug']}: {region['database']}" for region in status.regions]
        how_on = '`eval "$(.venv/bin/python manage.py sandbox env)"` sets a shell up for psql, rclone and manage.py.'
        lines = [*portal, f"The edge is at {status.edge}", *regions, how_on]
        self.answer(status.as_json(), "\n".join(lines))

    def _down(self, **options: Any) -> None:
        from portal.sandbox import lifecycle

        lifecycle.down()
        self.answer(lifecycle.status().as_json(), "The sandbox is down; its data is kept.")

    def _reset(self, **options: Any) -> None:
        from portal.sandbox import lifecycle

        lifecycle.reset()
        self.answer(lifecycle.status().as_json(), "The sandbox is gone.")

    def _env(self, **options: Any) -> None:
        from portal.sandbox.environment import environment

        variables = environment()
        exports = (f"export {name}={shlex.quote(value)}" for name, value in variables.items())
        self.answer({"environment": variables}, "\n".join(exports))

    def _seed(self, **options: Any) -> None:
        from portal.sandbox.provision import seed

        seed()
        self.answer({}, "The portal's database has the sandbox's regions and people.")

    def _status(self, **options: Any) -> None:
        from portal.sandbox import lifecycle

        status = lifecycle.status()
        if self.as_json:
            self.answer(status.as_json(), "")
        else:
            self._print_table(status)
        if not status.running:
            sys.exit(EXIT_FAILED)

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
    except ModuleNotFoundError as error:
        raise PortalError(
            f"The sandbox needs {error.name}, which is not installed.",
            hint=f"{sys.executable} -m pip install -r requirements.lock",
            code="not_installed",
        ) from error
    except DatabaseError as error:
        raise PortalError(
            f"The portal's database does not answer as it should: {error}".strip(),
            hint=_ANEW,
            code="portal_database_away",
        ) from error
    except OSError as error:
        raise _about_files(error) from error
    except subprocess.SubprocessError as error:
        raise PortalError(f"{error}.", hint=_ANEW, code="sandbox_failed") from error


_ANEW = "`manage.py sandbox reset` begins anew."


def _about_files(error: OSError) -> PortalError:
    where = error.filename or find_layout().root
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PortalError(f"The disk is full at {where}.", hint="Free some space and try again.", code="disk_full")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PortalError(
            f"{where} cannot be written or run by this user.",
            hint="Use the user who made the sandbox, or set SANDBOX_DIR to a folder of your own.",
            code="not_permitted",
        )
    return PortalError(f"{error}.", hint=_ANEW, code="sandbox_failed")

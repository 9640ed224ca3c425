"""`manage.py`: Django's commands and the portal's own, in a pipe, a terminal or a script."""

from __future__ import annotations

import json
import os
import sys
from typing import NoReturn

from django.core.exceptions import ImproperlyConfigured
from django.core.management import ManagementUtility

_EXIT_FAILED, _EXIT_USAGE, _EXIT_STOPPED, _EXIT_NOBODY_READS = 1, 2, 130, 141
"""The last two as a shell says of what SIGINT and SIGPIPE ended."""


def main(argv: list[str]) -> None:
    for stream in (sys.stdout, sys.stderr):
        # A terminal that lacks a character gets its number, rather than the command a fault.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    if os.environ.get("NO_COLOR"):
        os.environ.setdefault("DJANGO_COLORS", "nocolor")
    try:
        CommandLine(argv).execute()
        sys.stdout.flush()
    except ImproperlyConfigured as error:
        _fail(argv, "misconfigured", str(error), "docs/settings.md has every setting.", _EXIT_FAILED)
    except BrokenPipeError:
        # Nothing is left to be written when Python flushes standard output once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_EXIT_NOBODY_READS)
    except KeyboardInterrupt:
        sys.exit(_EXIT_STOPPED)


class CommandLine(ManagementUtility):
    """Django's, with the portal's commands first."""

    def main_help_text(self, commands_only: bool = False) -> str:
        if commands_only or self.settings_exception is not None:
            return super().main_help_text(commands_only)
        from migrations_app.management.lines import commands

        width = max(map(len, commands()))
        own = [f"    {name:<{width}}  {command.summary}" for name, command in commands().items()]
        return "\n".join(
            [
                "",
                f"`{self.prog_name} COMMAND --help` tells what a command takes, with examples. The portal's own:",
                "",
                *own,
                "",
                f"And Django's, of which an operator needs check, createsuperuser and migrate: `{self.prog_name} help "
                "--commands` lists all.",
            ]
        )

    def fetch_command(self, subcommand: str):  # type: ignore[no-untyped-def]
        """Django's says the same in words alone, and exits with 1."""
        from difflib import get_close_matches

        from django.core.management import get_commands

        known = get_commands()
        if self.settings_exception is None and subcommand not in known:
            alike = get_close_matches(subcommand, known, n=1)
            hint = f"Do you mean {alike[0]}?" if alike else f"`{self.prog_name} help` lists the commands."
            _fail(self.argv, "usage", f"There is no command {subcommand}.", hint, _EXIT_USAGE)
        return super().fetch_command(subcommand)


def _fail(argv: list[str], code: str, reason: str, hint: str, status: int) -> NoReturn:
    if "--json" in argv:
        print(json.dumps({"error": code, "reason": reason, "hint": hint}))  # noqa: T201
    else:
        sys.stderr.write(f"{reason}\n{hint}\n")
    sys.exit(status)

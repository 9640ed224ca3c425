"""What the portal's commands share: `--json`, the acting user, and exit statuses.

0 done, 1 failed while doing it, 2 wrong usage, 3 not found or not valid, 4 refused by a rule or for want of a right.
"""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError
from psycopg import errors

from migrations_app.errors import Forbidden, InvalidInput, NotFound, PortalError, Refused
from migrations_app.origin import acting_from, this_shell
from migrations_app.transitions import CHANGED_MEANWHILE

EXIT_FAILED = 1
EXIT_INVALID = 3
EXIT_REFUSED = 4


_EXITS = {NotFound: EXIT_INVALID, InvalidInput: EXIT_INVALID, Refused: EXIT_REFUSED, Forbidden: EXIT_REFUSED}


class PortalCommand(BaseCommand):
    """A command of the portal. Subclasses implement run() and call answer() once.

    One that people use takes `--as`, and `self.user` is who it acts as: None, the operator at the shell, without it.
    """

    surface = "command"
    is_for_people = True

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        self.add_shared_arguments(parser)
        return parser

    def add_shared_arguments(self, parser: ArgumentParser, default: Any = None) -> None:
        """`--json` and `--as`; subcommands take them too, with SUPPRESS as default."""
        parser.add_argument(
            "--json", action="store_true", default=default or False, help="print one JSON object instead of text"
        )
        if self.is_for_people:
            parser.add_argument(
                "--as", dest="as_user", metavar="USER", default=default, help="act as this user, with their rights"
            )

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json: bool = options["json"]
        try:
            with acting_from(self.surface, this_shell()):
                self.user = _acting_user(options.get("as_user"))
                self.run(**options)
        except PortalError as error:
            self.complain(error)
            sys.exit(_EXITS.get(type(error), EXIT_FAILED))
        except OperationalError as error:
            if isinstance(error.__cause__, (errors.DeadlockDetected, errors.SerializationFailure)):
                self.complain(Refused([CHANGED_MEANWHILE]))
                raise SystemExit(EXIT_REFUSED) from error
            self.complain(
                PortalError(
                    "The portal's database does not answer.",
                    hint='Check DATABASE_URL; in a checkout: `eval "$(.venv/bin/python manage.py sandbox env)"`.',
                    code="portal_database_away",
                )
            )
            raise SystemExit(EXIT_FAILED) from error

    def run(self, **options: Any) -> None:
        raise NotImplementedError

    def answer(self, data: Any, text: str) -> None:
        """Print `data` as JSON with --json, `text` without."""
        self.stdout.write(json.dumps(data, cls=DjangoJSONEncoder) if self.as_json else text)

    def complain(self, error: PortalError) -> None:
        if self.as_json:
            self.stdout.write(json.dumps({"error": error.code, "reason": error.reason, "hint": error.hint}))
        else:
            self.stderr.write(f"{error.reason}\n{error.hint}".strip())


def _acting_user(username: str | None) -> User | None:
    if username is None:
        return None
    user = get_user_model().objects.filter(username=username, is_active=True).first()
    if user is None:
        raise InvalidInput(f"There is no active user {username}.", hint="Make one in the admin.", code="unknown_user")
    return user

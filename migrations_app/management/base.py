"""What the portal's commands share: `--json`, the acting user, and exit statuses.

0 done, 1 failed while doing it, 2 wrong usage, 3 not found or not valid, 4 refused by a rule.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError

from migrations_app.errors import InvalidInput, NotFound, PortalError, Refused

EXIT_FAILED = 1
EXIT_INVALID = 3
EXIT_REFUSED = 4


class PortalCommand(BaseCommand):
    """A command of the portal. Subclasses implement run() and call answer() once."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        parser = super().create_parser(prog_name, subcommand, **kwargs)
        parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")
        return parser

    def handle(self, *args: Any, **options: Any) -> None:
        self.as_json: bool = options["json"]
        try:
            self.run(**options)
        except PortalError as error:
            status = {NotFound: EXIT_INVALID, InvalidInput: EXIT_INVALID, Refused: EXIT_REFUSED}.get(
                type(error), EXIT_FAILED
            )
            self.complain(error)
            sys.exit(status)
        except OperationalError as error:
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


def acting_user(username: str | None) -> User | None:
    """The user a command acts as; None is the operator at the shell, who has no account."""
    if not username:
        return None
    user = get_user_model().objects.filter(username=username, is_active=True).first()
    if user is None:
        raise InvalidInput(f"There is no active user {username}.", hint="Make one in the admin.", code="unknown_user")
    return user

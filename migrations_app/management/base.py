"""What the portal's commands share: `--json`, the acting user, help with examples, and exit statuses.

0 done, 1 failed while doing it, 2 wrong usage, 3 not found or not valid, 4 refused by a rule or for want of a right,
130 stopped with Ctrl-C. With --json there is one JSON object on standard output whichever it is, an error's with the
keys `error, reason, hint`. Standard error is for people.
"""

from __future__ import annotations

import json
import sys
from argparse import SUPPRESS, ArgumentParser, _SubParsersAction
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser, DjangoHelpFormatter, SystemCheckError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import InterfaceError, OperationalError, ProgrammingError
from psycopg import errors

from migrations_app.errors import Forbidden, InvalidInput, NotFound, PortalError, Refused
from migrations_app.management import arguments
from migrations_app.management.help import (
    EXIT_FAILED as EXIT_FAILED,
)
from migrations_app.management.help import (
    EXIT_INVALID,
    EXIT_REFUSED,
    EXIT_STOPPED,
    EXIT_USAGE,
    Example,
    HelpFormatter,
    epilog,
)
from migrations_app.management.printing import printable
from migrations_app.management.watch import Stopped
from migrations_app.origin import acting_from, this_shell
from migrations_app.transitions import explained

_EXITS = {
    NotFound: EXIT_INVALID,
    InvalidInput: EXIT_INVALID,
    Refused: EXIT_REFUSED,
    Forbidden: EXIT_REFUSED,
    Stopped: EXIT_STOPPED,
}


class PortalCommand(BaseCommand):
    """A command of the portal. Subclasses implement run() and call answer() once.

    One that people use takes `--as`, and `self.user` is who it acts as: None, the operator at the shell, without it.
    """

    surface = "command"
    is_for_people = True
    examples: Sequence[Example] = ()
    failed = "failed while doing it"
    """What exit status 1 says."""
    as_json = False

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        about = {"formatter_class": HelpFormatter, "epilog": epilog(self.examples, self.failed)}
        parser = super().create_parser(prog_name, subcommand, **about, **kwargs)
        for action in parser._actions:
            if DjangoHelpFormatter.show_last.intersection(action.option_strings):
                action.help = SUPPRESS  # Django's own are still taken, and would be half of every page
        self.add_shared_arguments(parser)
        return parser

    def add_shared_arguments(self, parser: ArgumentParser, default: Any = None) -> None:
        """`--json` and `--as`; subcommands take them too, with SUPPRESS as default."""
        parser.add_argument(
            "--json", action="store_true", default=default or False, help="print one JSON object instead of text"
        )
        if self.is_for_people:
            parser.add_argument(
                "--as",
                dest="as_user",
                metavar="USER",
                type=arguments.USER,
                default=default,
                help="act as this user, with their rights",
            )

    def add_verb(self, verbs: _SubParsersAction[CommandParser], name: str, text: str) -> CommandParser:
        """A subcommand, with those of the examples that are its own."""
        line = f"{type(self).__module__.rpartition('.')[2]} {name}"
        own = [example for example in self.examples if f"{example[1]} ".startswith(f"{line} ")]
        parser = verbs.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=HelpFormatter,
            epilog=epilog(own, self.failed),
        )
        self.add_shared_arguments(parser, default=SUPPRESS)
        return parser

    def run_from_argv(self, argv: list[str]) -> None:
        if "--json" in argv[2:]:
            self._explain_usage(argv)
        super().run_from_argv(argv)

    def _explain_usage(self, argv: list[str]) -> None:
        """What argparse would only say in words on standard error. Its parser raises until Django tells it that it is
        called from the command line."""
        try:
            self.create_parser(argv[0], argv[1]).parse_args(argv[2:])
        except CommandError as error:
            self.as_json = True
            reason = str(error).removeprefix("Error: ")
            hint = f"`manage.py {argv[1]} --help` tells what it takes."
            self.complain(PortalError(f"{reason[:1].upper()}{reason[1:]}.", hint=hint, code="usage"))
            sys.exit(EXIT_USAGE)

    def execute(self, *args: Any, **options: Any) -> str | None:
        self.as_json = options["json"]
        try:
            return super().execute(*args, **options)
        except SystemCheckError as error:
            if not self.as_json:
                raise
            reason = " ".join(str(error).removeprefix("SystemCheckError: ").split())
            hint = "`manage.py check` shows it; docs/settings.md has every setting."
            self.complain(PortalError(reason, hint=hint, code="check_failed"))
            sys.exit(EXIT_FAILED)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with acting_from(self.surface, this_shell()), _databases_errors(), _ctrl_c():
                _refuse_what_is_no_text(options)
                self.user = _acting_user(options.get("as_user"))
                self.run(**options)
        except PortalError as error:
            self.complain(error)
            sys.exit(_EXITS.get(type(error), EXIT_FAILED))
        except Exception as error:
            if self.as_json:
                reason = f"The portal has a fault: {type(error).__name__}."
                self.complain(PortalError(reason, hint="Standard error has its traceback.", code="internal_error"))
            raise

    def run(self, **options: Any) -> None:
        raise NotImplementedError

    def answer(self, data: Any, text: str) -> None:
        """Print `data` as JSON with --json, `text` without."""
        self.stdout.write(json.dumps(data, cls=DjangoJSONEncoder) if self.as_json else printable(text))

    def say(self, text: str) -> None:
        """A sentence on the way to the answer: with --json on standard error."""
        self.stderr.write(text, style_func=str) if self.as_json else self.stdout.write(text)
        self.stdout.flush()

    def complain(self, error: PortalError) -> None:
        if self.as_json:
            self.stdout.write(json.dumps({"error": error.code, "reason": error.reason, "hint": error.hint}))
        else:
            self.stderr.write(printable(f"{error.reason}\n{error.hint}".strip()))


@contextmanager
def _databases_errors() -> Iterator[None]:
    """What the portal's own database may answer, in sentences."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        hint = 'Check DATABASE_URL; in a checkout: `eval "$(.venv/bin/python manage.py sandbox env)"`.'
        raise explained(error, hint=hint) from error
    except ProgrammingError as error:
        if not isinstance(error.__cause__, (errors.UndefinedTable, errors.UndefinedColumn)):
            raise
        raise PortalError(
            "The portal's database is not that of this version: it lacks tables or columns.",
            hint="Run `manage.py migrate`.",
            code="portal_database_outdated",
        ) from error


@contextmanager
def _ctrl_c() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt as error:
        raise Stopped("Stopped.", hint="What was done until then is done; look before you try again.") from error


def _refuse_what_is_no_text(options: dict[str, Any]) -> None:
    """Bytes of an argument that are no text in this locale: no database would take them."""
    for name, value in options.items():
        if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
            raise InvalidInput(f"{name} is not valid UTF-8.", hint="Type it anew.", code="invalid_text")


def _acting_user(username: str | None) -> User | None:
    if username is None:
        return None
    users = get_user_model().objects.filter(is_active=True)
    user = users.filter(username=username).first()
    if user is None:
        alike = users.filter(username__iexact=username).first()
        meant = f"Do you mean {alike.get_username()}?" if alike else "Give the name they log in with."
        raise InvalidInput(
            f"--as: there is no active user {username}.",
            hint=f"{meant} An admin makes users and lets them in.",
            code="unknown_user",
        )
    return user

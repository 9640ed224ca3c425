from __future__ import annotations

import os
import re
import signal
from argparse import SUPPRESS
from contextlib import suppress
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError

from migrations_app.management import arguments
from migrations_app.management.base import PortalCommand
from migrations_app.management.completion import SHELLS, script
from migrations_app.management.printing import printable

_MOST_SECONDS = 2.0
_PLAIN = re.compile(r"[\w@.+-]+")
"""What a shell takes as it is. bash expands the words it is given: another one could be a command."""


class Command(PortalCommand):
    help = (
        "Print what makes a shell complete commands, options and their values, and ask the portal for regions, apps, "
        "people and ids. It is for calls as manage.py, ./manage.py or python manage.py; print it anew after an upgrade."
    )
    requires_system_checks = []
    is_for_people = False
    examples = (
        ('For bash: in ~/.bashrc, or typed, within eval "$(…)"', "completion bash"),
        ('For zsh: in ~/.zshrc, within eval "$(…)"', "completion zsh"),
        ("For fish: in ~/.config/fish/config.fish", "completion fish | source"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("shell", nargs="?", choices=SHELLS, metavar="|".join(SHELLS), help="which one")
        what.add_argument("--list", choices=sorted(arguments.ALL), help=SUPPRESS)  # what the scripts ask

    def run(self, **options: Any) -> None:
        if options["list"]:
            self._list(options["list"])
        else:
            found = script(options["shell"])
            self.answer({"shell": options["shell"], "script": found}, found)

    def _list(self, what: str) -> None:
        """Words, each with a tab and what it is. Whoever presses the key waits for them: after a while there are none,
        and what goes wrong is not for the middle of a line."""
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, _MOST_SECONDS)
        words: list[arguments.Word] = []
        with suppress(DatabaseError):
            words = [word for word in arguments.ALL[what].words() if _PLAIN.fullmatch(word[0])]
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.answer({what: [word for word, _ in words]}, printable("\n".join("\t".join(word) for word in words)))

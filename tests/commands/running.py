"""Commands, as a test runs them in its own process."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

from django.core.management import get_commands, load_command_class


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str

    @property
    def answer(self) -> Any:
        """Standard output, which has to be one JSON object."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


def run(*argv: str) -> Ran:
    """As from a command line, wrong usage included."""
    name = argv[0]
    command: Any = load_command_class(get_commands()[name], name)
    out, err = io.StringIO(), io.StringIO()
    command.stdout._out, command.stderr._out = out, err
    command.requires_system_checks = []  # they are run by a test of their own
    status = 0
    try:
        command.run_from_argv(["manage.py", *argv])
    except SystemExit as ended:
        status = int(ended.code or 0)
    return Ran(status, out.getvalue(), err.getvalue())

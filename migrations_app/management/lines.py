"""The portal's commands as their parsers tell them: what help, completion and docs/cli.md are made from."""

from __future__ import annotations

import re
from argparse import SUPPRESS, Action, _HelpAction, _SubParsersAction
from collections.abc import Sequence
from functools import cache
from typing import Any

from django.core.management import get_commands, load_command_class
from django.core.management.base import CommandParser

from migrations_app.management.base import PortalCommand
from migrations_app.management.help import Example

_OURS = ("migrations_app", "portal.sandbox")


class Line:
    """What may follow `manage.py`: a command, or a command and its verb."""

    def __init__(self, name: str, parser: CommandParser) -> None:
        self.name = name
        self.parser = parser
        shown = [action for action in parser._actions if action.help != SUPPRESS]
        self.options = [action for action in shown if action.option_strings]
        self.positionals = [action for action in shown if not action.option_strings]

    @property
    def verbs(self) -> list[Line]:
        """Those that the help lists."""
        for action in self.positionals:
            if isinstance(action, _SubParsersAction):
                listed = [choice.dest for choice in action._choices_actions]
                return [Line(f"{self.name} {verb}", action.choices[verb]) for verb in listed]
        return []


class Command(Line):
    """A command, with what its class says."""

    usual = PortalCommand.failed

    def __init__(self, name: str, command: PortalCommand) -> None:
        super().__init__(name, command.create_parser("manage.py", name))
        self.help: str = command.help
        self.examples: Sequence[Example] = command.examples
        self.failed = command.failed

    @property
    def summary(self) -> str:
        """Its help's beginning, as far as that makes a sentence."""
        beginning, *_ = re.split(r"[:;]|\. |\.$", self.help)
        return f"{beginning}."


@cache
def commands() -> dict[str, Command]:
    """Every command of the portal, by name."""
    found = {}
    for name, app in sorted(get_commands().items()):
        command = load_command_class(app, name) if app in _OURS else None
        if isinstance(command, PortalCommand):
            found[name] = Command(name, command)
    return found


def takes_value(action: Action) -> bool:
    return action.nargs != 0


def values(action: Action) -> list[str]:
    """What may stand in the place of an argument; empty: anything."""
    if action.choices:
        return [str(choice) for choice in action.choices]
    metavar: Any = action.metavar
    return metavar.split("|") if isinstance(metavar, str) and "|" in metavar else []


def is_help(action: Action) -> bool:
    return isinstance(action, _HelpAction)

"""Completion scripts: what may stand where, taken from the parsers, and a shell's function that looks it up.

What may stand where is a table from places to words. The places of a line, `move_app` or `manage_migrations abort`:
its options (`move_app -`), the value of one (`move_app --strategy`; options without a value have no entry), and its
arguments (`move_app 1`). The empty place is that of the command. Words beginning with @ are not known beforehand:
the portal is asked for them (arguments.py).
"""

from __future__ import annotations

from argparse import Action
from pathlib import Path

from django.core.management import get_commands

from migrations_app.management.arguments import Named
from migrations_app.management.lines import Line, commands, takes_value, values

_SHELLS = {"bash": "bash", "zsh": "bash", "fish": "fish"}
"""Each with whose script it runs: zsh has bash's `complete`."""
SHELLS = tuple(_SHELLS)


def script(shell: str) -> str:
    """What `eval` gives a shell its completion with."""
    dialect = _SHELLS[shell]
    functions = (Path(__file__).parent / f"functions.{dialect}").read_text()
    return f"{functions}\n{_IN[dialect](table())}"


def table() -> dict[str, str]:
    names = sorted([*get_commands(), "help"])
    found = {"": " ".join(names), "help 1": " ".join(names), "help -": "--commands"}
    for command in commands().values():
        for line in (command, *command.verbs):
            found |= _places(line)
    return found


def _places(line: Line) -> dict[str, str]:
    found = {f"{line.name} -": " ".join(max(option.option_strings, key=len) for option in line.options)}
    for option in line.options:
        if takes_value(option):
            found |= {f"{line.name} {spelled}": _words(option) for spelled in option.option_strings}
    for number, action in enumerate(line.positionals, 1):
        own = " ".join(verb.name.rpartition(" ")[2] for verb in line.verbs)
        found[f"{line.name} {number}"] = own or _words(action)
    return found


def _words(action: Action) -> str:
    return f"@{action.type.what}" if isinstance(action.type, Named) else " ".join(values(action))


def _in_bash(places: dict[str, str]) -> str:
    cases = "".join(f"    '{place}') echo '{words}' ;;\n" for place, words in places.items())
    return f'_portal_words() {{\n    case "$1" in\n{cases}    *) return 1 ;;\n    esac\n}}\n'


def _in_fish(places: dict[str, str]) -> str:
    cases = "".join(f"        case '{place}'\n            echo '{words}'\n" for place, words in places.items())
    return (
        f'function __portal_words\n    switch "$argv[1]"\n{cases}        case "*"\n            return 1\n    end\nend\n'
    )


_IN = {"bash": _in_bash, "fish": _in_fish}

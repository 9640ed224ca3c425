"""docs/cli.md, made from the parsers."""

from __future__ import annotations

import re
from argparse import Action
from collections.abc import Iterable
from functools import partial
from textwrap import fill

from migrations_app.management.help import HelpFormatter, exit_statuses
from migrations_app.management.lines import Command, Line, commands, is_help

_WIDTH = 112
_SHARED = frozenset({"--help", "--json", "--as"})

_HEAD = """\
# Commands

Made by `manage.py document_commands` from the commands themselves. `manage.py COMMAND --help` says the same in a
terminal.

Every command takes `--json`: it then prints one JSON object on standard output and nothing else, whatever comes of it.
An error is `{{"error": code, "reason": sentence, "hint": what to do}}`; codes and keys are stable. What is said on the
way, and logs, are on standard error. Those that people use take `--as USER`, and act with that user's rights
([permissions](permissions.md)).

With `--watch` a command follows what it began to its end, and exits with 1 if that is not what was asked for. Ctrl-C
ends the watching; what is watched goes on.

| exit status | |
|---|---|
{statuses}

{table}

`manage.py completion bash|zsh|fish` prints what makes a shell [complete](#completion) all of this with the tab key.
"""


def document() -> str:
    """The page, in Markdown."""
    every = commands().values()
    statuses = "\n".join(f"| {status} | {meaning} |" for status, meaning in exit_statuses(Command.usual).items())
    table = _table(("command", "does"), ((f"[`{line.name}`](#{line.name})", line.summary) for line in every))
    return "\n".join([_HEAD.format(statuses=statuses, table=table), *map(_section, every)])


def _section(command: Command) -> str:
    parts = [f"## {command.name}", fill(command.help, _WIDTH), *_about(command)]
    if command.examples:
        lines = "\n".join(f"# {what}\n$ python manage.py {line}" for what, line in command.examples)
        parts.append(f"```console\n{lines}\n```")
    if command.failed != Command.usual:
        parts.append(f"Exit status 1: {command.failed}.")
    return "\n\n".join(parts) + "\n"


def _about(line: Line) -> Iterable[str]:
    """How it is called and what its arguments are; the same of each of its verbs."""
    if not line.verbs:
        yield f"```text\n{_usage(line)}\n```"
        rows = [row for action in (*line.positionals, *line.options) if (row := _row(action))]
        if rows:
            yield _table(("argument", "is"), rows)
    for verb in line.verbs:
        yield f"### {verb.name}"
        yield f"{verb.parser.description}"
        yield from _about(verb)


def _usage(line: Line) -> str:
    """As `--help` begins with it, whatever the terminal's width."""
    line.parser.formatter_class = partial(HelpFormatter, width=_WIDTH)
    return re.sub(r"^usage: ", "", line.parser.format_usage().rstrip()).replace("\n       ", "\n")


def _row(action: Action) -> tuple[str, str] | None:
    if is_help(action) or _SHARED.intersection(action.option_strings):
        return None
    name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
    value = f" {action.metavar or action.dest.upper()}" if action.option_strings and action.nargs != 0 else ""
    if action.choices and not action.metavar:
        value = f" {'|'.join(map(str, action.choices))}"
    return f"`{_cell(name + value)}`", _cell(action.help or "")


def _table(head: tuple[str, str], rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(f"| {left} | {right} |" for left, right in (head, ("---", "---"), *rows)).replace(
        "| --- | --- |", "|---|---|"
    )


def _cell(text: str) -> str:
    return text.replace("|", r"\|")

"""What `--help` says below the arguments: examples and exit statuses."""

from __future__ import annotations

from collections.abc import Iterable

from django.core.management.base import DjangoHelpFormatter

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INVALID = 3
EXIT_REFUSED = 4
EXIT_STOPPED = 130
"""As a shell says of what Ctrl-C ended."""

Example = tuple[str, str]
"""What it does, and the line to type after `manage.py`."""

EXAMPLE_ID = "4d2f8a1c-93b4-4d8e-a1c5-0f6b2e7d9c31"
"""Of a move, in examples."""


class HelpFormatter(DjangoHelpFormatter):
    """Wraps prose, and leaves lines that are indented, the examples, as they are."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n".join(line if line[:1] in (" ", "") else fill(line, width, indent) for line in text.split("\n"))


def exit_statuses(failed: str) -> dict[int, str]:
    """`failed` is what status 1 says of the command."""
    return {
        EXIT_DONE: "done",
        EXIT_FAILED: failed,
        EXIT_USAGE: "wrong usage",
        EXIT_INVALID: "not found or not valid",
        EXIT_REFUSED: "refused by a rule or for want of a right",
        EXIT_STOPPED: "stopped with Ctrl-C",
    }


def epilog(examples: Iterable[Example], failed: str) -> str:
    shown = [f"  # {what}\n  manage.py {line}" for what, line in examples]
    statuses = [f"  {status:<4} {meaning}" for status, meaning in exit_statuses(failed).items()]
    return "\n".join([*(["Examples:", *shown, ""] if shown else []), "Exit status:", *statuses])

"""A supervisord program section, quoted so that supervisord reads back exactly what was meant."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from migrations_app.errors import InvalidInput

_NOT_QUOTABLE = ("\n", "\r", '"', "'", " ;", " #")
"""supervisord has no escape for quotes in `environment`, and takes ` ;` and ` #` for comments even inside quotes."""


def render(name: str, *, command: Sequence[str], directory: Path, environment: Mapping[str, str]) -> str:
    """The `[program:NAME]` section. Errors: InvalidInput for a value that supervisord cannot express."""
    pairs = ",".join(f'{key}="{_plain(value)}"' for key, value in environment.items())
    return "\n".join(
        (
            f"[program:{name}]",
            f"command={' '.join(_word(word) for word in command)}",
            f"directory={_plain(str(directory))}",
            f"environment={pairs}",
            "autostart=true",
            "autorestart=true",
            "startsecs=1",
            "stopsignal=TERM",
            "stopwaitsecs=15",  # longer than gunicorn's graceful time-out
            "killasgroup=true",
            "redirect_stderr=true",
            "",
        )
    )


def _word(word: str) -> str:
    plain = _plain(word)
    return plain if shlex.quote(word) == word else f'"{plain}"'


def _plain(value: str) -> str:
    found = next((mark for mark in (*_NOT_QUOTABLE, "\\") if mark in value), None)
    if found:
        raise InvalidInput(
            f"supervisord cannot read a value with {found!r} in it: {value!r}.",
            hint="Use a path or a value without quotes, backslashes and comment marks.",
        )
    return value.replace("%", "%%")

"""Text for a terminal, whoever wrote it."""

from __future__ import annotations

_CONTROLS = {code: "\ufffd" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}


def printable(text: str) -> str:
    """Without what a terminal would obey: a reason somebody gave may hold escape sequences."""
    return text.translate(_CONTROLS)

"""A program's supervisord definition, rewritten for another region. Pure.

Each region's programs folder holds `region.env`: NAME=value lines, the values that are local to that region. Wherever
the source's value stands in a definition, the destination's value of the same name takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from migrations_app.errors import PermanentError

_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
_SHORTEST = 3  # a shorter value, say "1", cannot be told from the text around it
_BEFORE, _AFTER = r"(?<![A-Za-z0-9_.-])", r"(?![A-Za-z0-9_.-])"
# What would end a quoted value, start a comment or break the line in supervisord's configuration.
_UNWRITABLE = re.compile(r"""["'\x00-\x1f\x7f]|\s;""")


def parse_region_values(text: str) -> dict[str, str]:
    """The values of a region.env by name. Blank lines and lines that start with # are skipped.

    Errors: PermanentError with the line's number or the variable's name, never with a value.
    """
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        if not equals or not _NAME.fullmatch(name) or name in values:
            raise PermanentError(
                f"Line {number} of region.env is not of the form NAME=value, or names a variable twice.",
                code="region_env_invalid",
            )
        if value and (len(value) < _SHORTEST or _UNWRITABLE.search(value)):
            raise PermanentError(
                f"The value of {name} in region.env is shorter than {_SHORTEST} characters or holds a quote, a "
                "semicolon after a space, or a control character.",
                code="region_env_invalid",
            )
        values[name] = value
    return values


def rewrite(text: str, source_values: Mapping[str, str], dest_values: Mapping[str, str]) -> str:
    """`text` with every whole-token occurrence of a source value replaced by the destination's value of that name.

    One pass, the longest value first, so `10.0.0.1:5433` is never mistaken for `10.0.0.1`, and nothing that was put
    in is replaced again. Percent signs are doubled on both sides, as supervisord writes them.

    Errors: PermanentError, naming the variable, when the destination has no value for one that is used, or when two
    variables share a source value and differ at the destination.
    """
    names: dict[str, list[str]] = {}
    for name, value in source_values.items():
        if value:
            names.setdefault(_escaped(value), []).append(name)
    if not names:
        return text
    longest_first = sorted(names, key=len, reverse=True)
    found = re.compile(_BEFORE + "(?:" + "|".join(map(re.escape, longest_first)) + ")" + _AFTER)
    return found.sub(lambda match: _escaped(_dest_value(names[match[0]], dest_values)), text)


def _dest_value(names: list[str], dest_values: Mapping[str, str]) -> str:
    for name in names:
        if not dest_values.get(name):
            raise PermanentError(
                f"The program uses {name}, for which the destination has no value.",
                hint="Add it to the region.env of the destination's programs folder.",
                code="region_value_missing",
            )
    if len({dest_values[name] for name in names}) > 1:
        raise PermanentError(
            f"{' and '.join(names)} have one value at the source but several at the destination.",
            hint="Make them differ at the source, so that the program says which one it means.",
            code="region_value_ambiguous",
        )
    return dest_values[names[0]]


def _escaped(value: str) -> str:
    return value.replace("%", "%%")

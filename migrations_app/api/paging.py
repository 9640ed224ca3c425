"""Lists in pages: `limit` rows, and in `next` a cursor for those after them; null at the end.

A cursor is the place of the last row shown, so rows that come or go meanwhile neither repeat nor hide others.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from pydantic import Field

from migrations_app.errors import InvalidInput

Row = TypeVar("Row", bound=Model)

Limit = Annotated[int, Field(ge=1, le=200, description="How many rows.")]
Cursor = Annotated[str, Field(max_length=300, description="`next` of the page before.")]

DEFAULT_LIMIT = 50


def page(rows: QuerySet[Row], order: Sequence[str], *, cursor: str, limit: int) -> tuple[list[Row], str | None]:
    """The rows after the cursor, by the fields of `order` (`-` before a name: falling), which together tell each row
    from every other; and the cursor of the next page. InvalidInput for a cursor that no page gave."""
    if cursor:
        rows = rows.filter(_after(order, _read(cursor, rows.model, order)))
    found = list(rows.order_by(*order)[: limit + 1])
    more = len(found) > limit
    return found[:limit], _written(found[limit - 1], order) if more else None


def _after(order: Sequence[str], place: list[Any]) -> Q:
    """What comes behind the place in that order; the first field bounds it by itself, for an index to begin at."""
    behind, same = Q(), Q()
    for name, value in zip(order, place, strict=True):
        field, comes = (name[1:], "lt") if name.startswith("-") else (name, "gt")
        behind |= same & Q(**{f"{field}__{comes}": value})
        same &= Q(**{field: value})
    first = order[0].removeprefix("-")
    return behind & Q(**{f"{first}__{'lte' if order[0].startswith('-') else 'gte'}": place[0]})


def _written(row: Model, order: Sequence[str]) -> str:
    place = [getattr(row, name.removeprefix("-")) for name in order]
    said = [
        value if isinstance(value, int) else value.isoformat() if isinstance(value, datetime) else str(value)
        for value in place
    ]
    return base64.urlsafe_b64encode(json.dumps(said).encode()).decode().rstrip("=")


def _read(cursor: str, model: type[Model], order: Sequence[str]) -> list[Any]:
    try:
        said = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        readers = [_READERS[model._meta.get_field(name.removeprefix("-")).get_internal_type()] for name in order]
        return [read(value) for read, value in zip(readers, said, strict=True)]
    except (ValueError, TypeError, RecursionError, OverflowError):
        raise InvalidInput(
            "cursor: no page of this list gave it.", hint="Send `next` as it was answered.", code="invalid_cursor"
        ) from None


def _moment(value: Any) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.utcoffset() != _NONE:
        raise ValueError(value)
    return moment


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError(value)
    return value


def _word(value: Any) -> str:
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise ValueError(value)
    return value


_NONE = datetime.resolution * 0
_READERS: dict[str, Callable[[Any], Any]] = {
    "DateTimeField": _moment,
    "UUIDField": UUID,
    "BigAutoField": _number,
    "CharField": _word,
}

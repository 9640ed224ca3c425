"""Rows by a statement that is written out, for what pages ask every time: to make it of a queryset takes longer than to
answer it. Nothing is changed by one."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Model
from django.db.models.expressions import Col


class _Columns(NamedTuple):
    """Of a model: the names of its fields as attributes, the place of its key among them, its columns in a statement,
    and how those are read that the database returns in another form than the field has."""

    names: list[str]
    key: int
    sql: str
    converters: list[tuple[int, list[Callable[..., Any]], Col]]


def select(statement: str, params: dict[str, Any], **models: type[Model]) -> list[tuple[Any, ...]]:
    """Of each row an instance of each model, by the name it has in the statement, or None where a join found none.
    The statement begins after its columns: `FROM …`."""
    parts = [_columns_of(model, alias) for alias, model in models.items()]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(part.sql for part in parts)} {statement}", params)
        found = cursor.fetchall()
    return [tuple(_instances(row, parts, tuple(models.values()))) for row in found]


def _instances(row: tuple[Any, ...], parts: list[_Columns], models: tuple[type[Model], ...]) -> list[Model | None]:
    instances: list[Model | None] = []
    start = 0
    for part, model in zip(parts, models, strict=True):
        values = list(row[start : start + len(part.names)])
        start += len(values)
        if values[part.key] is None:
            instances.append(None)
            continue
        for place, converters, expression in part.converters:
            for convert in converters:
                values[place] = convert(values[place], expression, connection)
        instances.append(model.from_db(connection.alias, part.names, values))
    return instances


@cache
def _columns_of(model: type[Model], alias: str) -> _Columns:
    fields = model._meta.concrete_fields
    key = model._meta.pk
    assert key is not None  # noqa: S101 — every model has one
    converters = [
        (place, found, Col(alias, field))
        for place, field in enumerate(fields)
        if (found := field.get_db_converters(connection))
    ]
    columns = ", ".join(f'{alias}."{field.column}"' for field in fields)
    return _Columns([field.attname for field in fields], fields.index(key), columns, converters)

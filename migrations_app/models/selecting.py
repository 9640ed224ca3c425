"""Rows by a statement that is written out, for what pages ask every time: to make it of a queryset takes longer than to
answer it. Nothing is changed by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from django.db import connection
from django.db.models import Model
from django.db.models.base import ModelState
from django.db.models.expressions import Col

from migrations_app.prepared import prepared


class _Columns(NamedTuple):
    """Of a model, or of some fields of it: the names of its attributes, the place of the key among them, the columns in
    a statement, and how those are read that the database returns in another form than the field has."""

    model: type[Model]
    names: list[str]
    key: int
    sql: str
    converters: list[tuple[int, list[Callable[..., Any]], Col]]


Read = type[Model] | tuple[type[Model], tuple[str, ...]]
"""A model, or so many fields of it, by the names of their columns, the key among them."""


def select(statement: str, params: dict[str, Any], **wanted: Read) -> list[tuple[Any, ...]]:
    """Of each row an instance of each model, by the name it has in the statement, or None where a join found none.
    The statement begins after its columns: `FROM …`."""
    parts = [
        _columns_of(read[0], alias, read[1]) if isinstance(read, tuple) else _columns_of(read, alias)
        for alias, read in wanted.items()
    ]
    with prepared() as cursor:
        cursor.execute(f"SELECT {', '.join(part.sql for part in parts)} {statement}", params)
        found = cursor.fetchall()
    return [tuple(_instances(row, parts)) for row in found]


def one_of(values: Iterable[str]) -> str:
    """`IN (…)` of the portal's own words. Written out, so that the database can go by an index of those alone."""
    return f"IN ({', '.join(repr(str(value)) for value in sorted(values))})"


def _instances(row: tuple[Any, ...], parts: list[_Columns]) -> list[Model | None]:
    instances: list[Model | None] = []
    start = 0
    for part in parts:
        values = list(row[start : start + len(part.names)])
        start += len(values)
        if values[part.key] is None:
            instances.append(None)
            continue
        for place, converters, expression in part.converters:
            for convert in converters:
                values[place] = convert(values[place], expression, connection)
        instances.append(_instance(part, values))
    return instances


def _instance(part: _Columns, values: list[Any]) -> Model:
    """As from_db(), without asking each field of the model how it is set: what pickle does with one."""
    instance = part.model.__new__(part.model)
    instance.__dict__.update(zip(part.names, values, strict=True))
    instance._state = ModelState()
    instance._state.adding, instance._state.db = False, connection.alias
    return instance


@cache
def _columns_of(model: type[Model], alias: str, columns: tuple[str, ...] = ()) -> _Columns:
    fields = [field for field in model._meta.concrete_fields if not columns or field.column in columns]
    assert len(fields) == len(columns) or not columns, f"{model.__name__} has not all of {columns}"  # noqa: S101
    key = model._meta.pk
    assert key is not None  # noqa: S101 — every model has one
    converters = [
        (place, found, Col(alias, field))
        for place, field in enumerate(fields)
        if (found := field.get_db_converters(connection))
    ]
    sql = ", ".join(f'{alias}."{field.column}"' for field in fields)
    return _Columns(model, [field.attname for field in fields], fields.index(key), sql, converters)

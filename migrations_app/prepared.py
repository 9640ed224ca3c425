"""Statements that are written out, because every page asks them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection
from django.db.backends.postgresql.base import ServerBindingCursor
from django.db.backends.utils import CursorWrapper


@contextmanager
def prepared() -> Iterator[CursorWrapper]:
    """A cursor whose statements the database plans once for each connection: to plan one of a page's small questions
    takes it longer than to answer it. The parameters go beside the statement, so each has to have a type there."""
    with connection.cursor() as cursor:
        cursor.cursor = ServerBindingCursor(connection.connection)  # type: ignore[call-arg]
        yield cursor

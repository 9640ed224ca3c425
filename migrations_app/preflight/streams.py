"""Can a stream carry the tables: live, and on the way back?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
from django.conf import settings

from migrations_app.dataplane.database import identity
from migrations_app.dataplane.database.connection import rows, value
from migrations_app.preflight.finding import Finding, counted, failed, named, passed, warned
from migrations_app.preflight.sight import Sight
from migrations_app.units import size

_BYTES = """
SELECT coalesce(sum(pg_table_size(format('%%I.%%I', s, t)::regclass)), 0) FROM unnest(%s::text[], %s::text[]) u(s, t)
"""


def replica_identity(sight: Sight) -> Iterator[Finding]:
    missing = identity.missing_identity(sight.source_db)
    by_index = [(schema, table) for schema, table, _, index in missing if index]
    by_row = [(schema, table) for schema, table, _, index in missing if not index]
    if by_index:
        yield passed(f"A unique index becomes that of {counted(len(by_index), 'table')}: {_names(by_index)}.")
    if by_row:
        with sight.source_db.connect() as connection:
            length = _bytes_of(connection, by_row)
        yield warned(
            f"The whole row (FULL) becomes that of {counted(len(by_row), 'table')} without a unique key, "
            f"{size(length)}: {_names(by_row)}.",
            "Give them a primary key, if they are large and often updated.",
            "As long as a stream runs, each UPDATE and DELETE there logs the whole old row, and is searched for on the "
            "other side.",
            about=_all_names(by_row),
        )


def unstreamable_tables(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        tables = identity.unstreamable(connection)
        if not tables:
            return
        length = _bytes_of(connection, tables)
    yield warned(
        f"{counted(len(tables), 'table')} ({size(length)}) that no stream can carry: {_names(tables)}.",
        "Give them a primary key over ordinary columns.",
        "They are copied while writes are blocked, by a live move and by a reverse.",
        about=_all_names(tables),
    )


def copied_in_block(sight: Sight) -> Iterator[Finding]:
    """What a live move copies or computes while writes are blocked."""
    with sight.source_db.connect() as connection:
        parts = {
            "unlogged tables": value(
                connection,
                "SELECT coalesce(sum(pg_table_size(oid)), 0) FROM pg_class "
                "WHERE relkind = 'r' AND relpersistence = 'u' AND oid >= 16384",
            ),
            "tables that no stream can carry": _bytes_of(connection, identity.unstreamable(connection)),
            "large objects": value(
                connection,
                "SELECT CASE WHEN EXISTS (SELECT FROM pg_largeobject_metadata) "
                "THEN pg_table_size('pg_catalog.pg_largeobject') ELSE 0 END",
            ),
            "materialised views": value(
                connection,
                "SELECT coalesce(sum(pg_table_size(oid)), 0) FROM pg_class WHERE relkind = 'm' AND relispopulated",
            ),
        }
    total, limit = int(sum(parts.values())), settings.MOVES_LIVE_IN_BLOCK_BYTES
    listed = ", ".join(f"{name} {size(int(length))}" for name, length in parts.items() if length)
    if total > limit:
        yield failed(
            f"{size(total)} to copy while writes are blocked, more than {size(limit)}: {listed}.",
            "Use snapshot, or raise MOVES_LIVE_IN_BLOCK_BYTES.",
        )
    else:
        yield passed(f"{size(total)} to copy while writes are blocked, if live{': ' + listed if listed else ''}.")


# Neither a function that is not VOLATILE can write, nor PL/pgSQL without one of these words. What else there is may.
_TRIGGERS = r"""
SELECT n.nspname::text, c.relname::text, t.tgname::text, c.relkind = 'r' AND c.relpersistence = 'p',
       p.oid >= 16384 AND p.provolatile = 'v' AND (l.lanname <> 'plpgsql' OR p.prosrc ~*
       '\m(insert|update|delete|merge|truncate|copy|select|perform|execute|call|nextval|setval|notify|lock)\M')
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_language l ON l.oid = p.prolang
 WHERE t.tgenabled IN ('A', 'R') AND NOT t.tgisinternal ORDER BY 1, 2, 3
"""


def triggers(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        found = rows(connection, _TRIGGERS)
    if found:
        listed = [f"{name} on {schema}.{table}" for schema, table, name, *_ in found]
        yield warned(
            f"Triggers that are ENABLE ALWAYS or REPLICA: {named(listed)}.",
            "Enable them the ordinary way, if they need not fire on what replication writes.",
            "They fire on what the way back writes as well; one that writes rows itself stops the stream.",
            about=", ".join(listed),
        )


def live_triggers(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        never = set(identity.unstreamable(connection))
        stopping = [
            f"{name} on {schema}.{table}"
            for schema, table, name, is_table, can_write in rows(connection, _TRIGGERS)
            if is_table and can_write and (schema, table) not in never
        ]
    if stopping:
        yield failed(
            f"Triggers that fire on what a stream writes, and can write themselves: {named(stopping)}.",
            "Use snapshot, or enable them the ordinary way for the time of the move.",
            "Their rows would come twice, and stop the stream.",
        )


def _bytes_of(connection: psycopg.Connection[Any], tables: list[tuple[str, str]]) -> int:
    return int(value(connection, _BYTES, [schema for schema, _ in tables], [table for _, table in tables]))


def _names(tables: list[tuple[str, str]]) -> str:
    return named(".".join(table) for table in tables)


def _all_names(tables: list[tuple[str, str]]) -> str:
    return ", ".join(".".join(table) for table in tables)

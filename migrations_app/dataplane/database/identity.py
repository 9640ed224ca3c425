"""Which tables a stream can carry, and the replica identity that lets their UPDATE and DELETE be published."""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg import sql

from migrations_app.dataplane.database.connection import Cluster, rows
from migrations_app.dataplane.process import Check

_LOCK_PATIENCE_SECONDS = 60.0
_BETWEEN_LOCKS_SECONDS = 0.5

_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.oid >= 16384
   AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.deptype = 'e')
 ORDER BY 1, 2
"""


def tables(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """`(schema, table)` of every permanent table that is not an extension's own."""
    return [tuple(row) for row in rows(connection, _TABLES)]


def unstreamable(connection: psycopg.Connection[Any]) -> list[tuple[str, str]]:
    """Those of tables() that no stream can carry; a reverse copies them while writes are blocked.

    Published, they would be broken in production: from 18 on PostgreSQL refuses UPDATE and DELETE where the replica
    identity has a generated column. And where rows can only be told apart as a whole, a subscriber stops at a column
    whose type has no equality (json, point).
    """
    found = []
    for schema, table, _, _, _, by_row, generated, identity_generated in rows(connection, _IDENTITIES):
        if identity_generated or (by_row and (generated or not _has_equality(connection, schema, table))):
            found.append((schema, table))
    return found


def _has_equality(connection: psycopg.Connection[Any], schema: str, table: str) -> bool:
    """PostgreSQL can tell whether two whole rows are equal; asked of its planner, which knows all types."""
    columns = rows(
        connection,
        """SELECT a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
             JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped""",
        schema,
        table,
    )
    if not columns:
        return True
    listed = sql.SQL(", ").join(sql.Identifier(column) for (column,) in columns)
    try:
        connection.execute(
            sql.SQL("EXPLAIN SELECT DISTINCT {} FROM ONLY {}").format(listed, sql.Identifier(schema, table))
        )
    except psycopg.errors.UndefinedFunction:
        return False
    return True


_IDENTITIES = """
WITH identities AS (
    SELECT c.oid, n.nspname, c.relname, c.relreplident AS kind,
           EXISTS (SELECT 1 FROM pg_attribute a
                    WHERE a.attrelid = c.oid AND NOT a.attisdropped AND a.attgenerated <> '') AS generated,
           (SELECT x.indexrelid FROM pg_index x
             WHERE x.indrelid = c.oid AND x.indisvalid AND x.indimmediate
               AND CASE c.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN x.indisreplident ELSE false END
           ) AS own_key,
           (SELECT x.indexrelid FROM pg_index x
             WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL
               AND x.indexprs IS NULL
               AND NOT EXISTS (SELECT 1 FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, n)
                                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                                WHERE k.n <= x.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> ''))
             ORDER BY x.indexrelid LIMIT 1) AS usable_key
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND c.oid >= 16384 AND n.nspname NOT LIKE 'pg\\_%'
       AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.deptype = 'e')
)
SELECT nspname, relname, kind, (SELECT relname FROM pg_class i WHERE i.oid = usable_key),
       own_key IS NULL AND kind <> 'f', own_key IS NULL AND (kind = 'f' OR usable_key IS NULL), generated,
       EXISTS (SELECT 1 FROM pg_index x
                 JOIN unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, n) ON k.n <= x.indnkeyatts
                 JOIN pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.attnum
                WHERE x.indexrelid = own_key AND a.attgenerated <> '')
  FROM identities
 ORDER BY 1, 2
"""


def missing_identity(cluster: Cluster) -> list[list[str]]:
    """Tables whose UPDATE and DELETE could not be published, and will be: `[schema, table, relreplident, usable index
    or ""]`."""
    with cluster.connect() as connection:
        never = set(unstreamable(connection))
        return [
            [schema, table, kind, index or ""]
            for schema, table, kind, index, is_missing, *_ in rows(connection, _IDENTITIES)
            if is_missing and (schema, table) not in never
        ]


def give_identity(cluster: Cluster, missing: list[list[str]], *, check: Check) -> None:
    """Give those tables one: a unique index over columns that are never null, else the whole row (at a price).

    Errors: TransientError `database_55P03` when a table stays locked.
    """
    with cluster.connect() as connection:
        for schema, table, _, index in missing:
            using = sql.SQL("USING INDEX {}").format(sql.Identifier(index)) if index else sql.SQL("FULL")
            _set_identity(connection, schema, table, using, check)


def restore_identity(cluster: Cluster, missing: list[list[str]], *, check: Check) -> None:
    """Put replica identities back to what missing_identity() found; tables dropped meanwhile are passed over."""
    with cluster.connect() as connection:
        present = set(tables(connection))
        for schema, table, before, _ in missing:
            if (schema, table) in present:
                using = sql.SQL("NOTHING" if before == "n" else "DEFAULT")
                _set_identity(connection, schema, table, using, check)


def _set_identity(
    connection: psycopg.Connection[Any], schema: str, table: str, using: sql.Composable, check: Check
) -> None:
    """Who waits for this lock keeps everybody waiting behind: not for long, and then others get their turn."""
    connection.execute("SET lock_timeout = '200ms'")
    give_up_at = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            connection.execute(
                sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(sql.Identifier(schema, table), using)
            )
            return
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() > give_up_at:
                raise
        check()
        time.sleep(_BETWEEN_LOCKS_SECONDS)

"""What a stream leaves behind: sequences, unlogged tables, large objects, materialised views, statistics.

Copied inside the block, when neither side is written to by anybody else.
"""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.dataplane.process import Check

_LO_BLOCK = 1 << 20

Positions = dict[tuple[str, str], tuple[int, bool]]
"""`(schema, sequence) → (last_value, is_called)`."""


def sequence_positions(connection: psycopg.Connection[Any]) -> Positions:
    """Every sequence of the database, owned by a column or not."""
    names = rows(
        connection,
        """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'S' AND c.oid >= 16384 AND n.nspname NOT LIKE 'pg\\_%' ORDER BY 1, 2""",
    )
    positions: Positions = {}
    for schema, name in names:
        row = rows(connection, sql.SQL("SELECT last_value, is_called FROM {}").format(sql.Identifier(schema, name)))
        positions[schema, name] = tuple(row[0])
    return positions


def copy_sequences(source: Cluster, dest: Cluster) -> int:
    """Set every sequence at the destination to its position at the source. Returns how many were behind or ahead."""
    with source.connect() as at_source, dest.connect() as at_dest:
        wanted, found = sequence_positions(at_source), sequence_positions(at_dest)
        differing = {key: position for key, position in wanted.items() if found.get(key) != position}
        for key, (last_value, is_called) in differing.items():
            quoted = sql.Identifier(*key).as_string(at_dest)
            value(at_dest, "SELECT setval(%s::regclass, %s, %s)", quoted, last_value, is_called)
    return len(differing)


def copy_unlogged_tables(source: Cluster, dest: Cluster, *, check: Check) -> list[str]:
    """Replace the rows of every unlogged table. Returns the tables."""
    with source.connect() as at_source, dest.connect() as at_dest:
        found = rows(
            at_source,
            """SELECT n.nspname, c.relname,
                      (SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND c.oid >= 16384 ORDER BY 1, 2""",
        )
        for schema, table, columns in found:
            name = sql.Identifier(schema, table)
            listed = sql.SQL(", ").join(map(sql.Identifier, columns or []))
            with at_dest.transaction():
                # DELETE, for TRUNCATE refuses tables that others refer to.
                at_dest.execute(sql.SQL("DELETE FROM ONLY {}").format(name))
                reading = sql.SQL("COPY {} ({}) TO STDOUT (FORMAT binary)").format(name, listed)
                writing = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(name, listed)
                with at_source.cursor().copy(reading) as out, at_dest.cursor().copy(writing) as into:
                    for block in out:
                        into.write(block)
                        check()
    return [f"{schema}.{table}" for schema, table, _ in found]


LARGE_OBJECTS = """
SELECT m.oid, pg_get_userbyid(m.lomowner) AS owner, m.lomacl::text AS acl,
       (SELECT coalesce(sum(hashtextextended(l.pageno || ':' || encode(l.data, 'hex'), 0)::numeric), 0)
          FROM pg_largeobject l WHERE l.loid = m.oid) AS content
  FROM pg_largeobject_metadata m ORDER BY m.oid
"""


def copy_large_objects(source: Cluster, dest: Cluster, *, check: Check) -> int:
    """Make the destination's large objects those of the source, with owners and grants. Returns how many differed."""
    with source.connect() as at_source, dest.connect() as at_dest:
        wanted = {row[0]: row for row in rows(at_source, LARGE_OBJECTS)}
        found = {row[0]: row for row in rows(at_dest, LARGE_OBJECTS)}
        differing = {oid for oid in wanted.keys() | found.keys() if wanted.get(oid) != found.get(oid)}
        for oid in sorted(differing):
            with at_source.transaction(), at_dest.transaction():
                if oid in found:
                    value(at_dest, "SELECT lo_unlink(%s)", oid)
                if oid in wanted:
                    _copy_large_object(at_source, at_dest, oid, owner=wanted[oid][1], check=check)
    return len(differing)


def _copy_large_object(
    at_source: psycopg.Connection[Any], at_dest: psycopg.Connection[Any], oid: int, *, owner: str, check: Check
) -> None:
    value(at_dest, "SELECT lo_create(%s)", oid)
    offset = 0
    while block := value(at_source, "SELECT lo_get(%s, %s, %s)", oid, offset, _LO_BLOCK):
        value(at_dest, "SELECT lo_put(%s, %s, %s)", oid, offset, block)
        offset += len(block)
        check()
    at_dest.execute(sql.SQL("ALTER LARGE OBJECT {} OWNER TO {}").format(sql.Literal(oid), sql.Identifier(owner)))
    grants = rows(
        at_source,
        """SELECT CASE WHEN grantee = 0 THEN '' ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable
             FROM pg_largeobject_metadata, aclexplode(lomacl) WHERE oid = %s""",
        oid,
    )
    for grantee, privilege, grantable in grants:
        statement = sql.SQL("GRANT {} ON LARGE OBJECT {} TO {}").format(
            sql.SQL(privilege), sql.Literal(oid), sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
        )
        at_dest.execute(statement + sql.SQL(" WITH GRANT OPTION") if grantable else statement)


def refresh_materialised_views(dest: Cluster, *, check: Check) -> list[str]:
    """Refresh every populated materialised view, in the order they were made, so that one finds the others ready."""
    with dest.connect() as connection:
        views = rows(
            connection,
            """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = 'm' AND c.relispopulated AND c.oid >= 16384 ORDER BY c.oid""",
        )
        for view in views:
            check()
            connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(*view)))
    return [".".join(view) for view in views]

"""What a stream leaves behind: sequences, unlogged tables, large objects, materialised views, statistics.

Copied inside the block, when neither side is written to by anybody else.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from migrations_app.dataplane.database import grants, identity
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
    for begin in range(0, len(names), 200):
        each = [
            sql.SQL("SELECT {}, last_value, is_called FROM {}").format(sql.Literal(n), sql.Identifier(*names[n]))
            for n in range(begin, min(begin + 200, len(names)))
        ]
        for n, last_value, is_called in rows(connection, sql.SQL(" UNION ALL ").join(each)):
            positions[tuple(names[n])] = last_value, is_called
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


def copy_unstreamed_tables(source: Cluster, dest: Cluster, *, check: Check) -> list[str]:
    """Replace the rows of every unlogged table, and of every other that no stream carries. Returns the tables."""
    with source.connect() as at_source, dest.connect() as at_dest:
        found = rows(
            at_source,
            """SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND c.oid >= 16384 ORDER BY 1, 2""",
        )
        tables = [*(tuple(row) for row in found), *identity.unstreamable(at_source)]
        for table in tables:
            _copy_table(at_source, at_dest, table, check)
    return [f"{schema}.{name}" for schema, name in tables]


def _copy_table(
    at_source: psycopg.Connection[Any], at_dest: psycopg.Connection[Any], table: tuple[str, str], check: Check
) -> None:
    name = sql.Identifier(*table)
    columns = rows(
        at_source,
        """SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
              AND attgenerated = '' ORDER BY attnum""",
        name.as_string(at_source),
    )
    with at_dest.transaction():
        # DELETE, for TRUNCATE refuses tables that others refer to.
        at_dest.execute(sql.SQL("DELETE FROM ONLY {}").format(name))
        if not columns:
            for _ in range(value(at_source, sql.SQL("SELECT count(*) FROM ONLY {}").format(name))):
                at_dest.execute(sql.SQL("INSERT INTO {} DEFAULT VALUES").format(name))
            return
        # As text: the binary format names types by their numbers, which are others at the destination.
        listed = sql.SQL(", ").join(sql.Identifier(column) for (column,) in columns)
        reading = sql.SQL("COPY {} ({}) TO STDOUT").format(name, listed)
        writing = sql.SQL("COPY {} ({}) FROM STDIN").format(name, listed)
        with (
            _unconverted(at_source),
            _unconverted(at_dest),
            at_source.cursor().copy(_as_stored(reading, at_source)) as out,
            at_dest.cursor().copy(_as_stored(writing, at_dest)) as into,
        ):
            for block in out:
                into.write(block)
                check()


@contextmanager
def _unconverted(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Bytes as they are stored: a database without an encoding (SQL_ASCII) holds what UTF-8 does not know."""
    connection.execute("SELECT set_config('client_encoding', getdatabaseencoding(), false)")
    try:
        yield
    finally:
        if not connection.closed and connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
            connection.execute("SET client_encoding = 'UTF8'")


def _as_stored(statement: sql.Composed, connection: psycopg.Connection[Any]) -> bytes:
    if connection.info.encoding == "ascii":
        return statement.as_string(None).encode()
    return statement.as_bytes(connection)


_LO_ACL = "SELECT coalesce(lomacl, acldefault('L', lomowner)) FROM pg_largeobject_metadata WHERE oid = %s"

# Of the content, what is read: pages that were never written are as good as pages of zeros, and a restore writes them.
LARGE_OBJECTS = """
SELECT m.oid, pg_get_userbyid(m.lomowner) AS owner, obj_description(m.oid, 'pg_largeobject') AS comment,
       ARRAY(SELECT a.grantee::regrole::text || ' ' || a.privilege_type || ' ' || a.is_grantable || ' ' ||
                    a.grantor::regrole::text
               FROM aclexplode(coalesce(m.lomacl, acldefault('L', m.lomowner))) a ORDER BY 1) AS grants,
       (SELECT l.pageno * (current_setting('block_size')::bigint / 4) + length(l.data)
          FROM pg_largeobject l WHERE l.loid = m.oid ORDER BY l.pageno DESC LIMIT 1) AS bytes,
       (SELECT coalesce(sum(hashtextextended(l.pageno || ':' || rtrim(encode(l.data, 'hex'), '0'), 0)::numeric), 0)
          FROM pg_largeobject l
         WHERE l.loid = m.oid AND rtrim(encode(l.data, 'hex'), '0') <> '') AS content
  FROM pg_largeobject_metadata m ORDER BY m.oid
"""


def copy_large_objects(source: Cluster, dest: Cluster, *, check: Check) -> int:
    """Make the destination's large objects those of the source, with owners, grants and comments.

    Returns how many differed.
    """
    with source.connect() as at_source, dest.connect() as at_dest:
        wanted = {row[0]: row for row in rows(at_source, LARGE_OBJECTS)}
        found = {row[0]: row for row in rows(at_dest, LARGE_OBJECTS)}
        differing = {oid for oid in wanted.keys() | found.keys() if wanted.get(oid) != found.get(oid)}
        for oid in sorted(differing):
            with at_source.transaction(), at_dest.transaction():
                if oid in found:
                    value(at_dest, "SELECT lo_unlink(%s)", oid)
                if oid in wanted:
                    _, owner, comment, *_ = wanted[oid]
                    _copy_large_object(at_source, at_dest, oid, owner=owner, comment=comment, check=check)
    return len(differing)


def _copy_large_object(
    at_source: psycopg.Connection[Any],
    at_dest: psycopg.Connection[Any],
    oid: int,
    *,
    owner: str,
    comment: str | None,
    check: Check,
) -> None:
    value(at_dest, "SELECT lo_create(%s)", oid)
    offset = 0
    while block := value(at_source, "SELECT lo_get(%s, %s, %s)", oid, offset, _LO_BLOCK):
        value(at_dest, "SELECT lo_put(%s, %s, %s)", oid, offset, block)
        offset += len(block)
        check()
    name = sql.SQL("LARGE OBJECT {}").format(sql.Literal(oid))
    at_dest.execute(sql.SQL("ALTER {} OWNER TO {}").format(name, sql.Identifier(owner)))
    if comment is not None:
        at_dest.execute(sql.SQL("COMMENT ON {} IS {}").format(name, sql.Literal(comment)))
    grants.replace(
        at_dest,
        name,
        owner=owner,
        was=grants.read(at_dest, _LO_ACL, oid),
        wanted=grants.read(at_source, _LO_ACL, oid),
    )


# Every view behind those it reads, directly or through others; what was replaced later may read what was made later.
_VIEWS = """
WITH RECURSIVE reads AS (
    SELECT DISTINCT r.ev_class AS view, d.refobjid AS read
      FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
     WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class AND r.ev_class >= 16384
), depths AS (
    SELECT oid AS view, 0 AS depth FROM pg_class WHERE relkind IN ('m', 'v') AND oid >= 16384
    UNION
    SELECT r.view, d.depth + 1 FROM depths d JOIN reads r ON r.read = d.view WHERE d.depth < 100
)
SELECT n.nspname, c.relname, c.relispopulated
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN depths d ON d.view = c.oid
 WHERE c.relkind = 'm' GROUP BY n.nspname, c.relname, c.relispopulated, c.oid ORDER BY max(d.depth), c.oid
"""


def refresh_materialised_views(dest: Cluster, *, check: Check, source: Cluster | None = None) -> list[str]:
    """Refresh every populated materialised view, each after those it reads. Returns the views.

    With `source`, those are populated that are so there. Dates and numbers are worded as the database's settings say.
    """
    with dest.connect(wording=False) as connection:
        views = {(schema, view): populated for schema, view, populated in rows(connection, _VIEWS)}
        wanted = dict(views)
        if source:
            with source.connect() as at_source:
                wanted |= {(schema, view): populated for schema, view, populated in rows(at_source, _VIEWS)}
        filled = {view for view in views if wanted[view]}
        for view in views:
            if wanted[view]:
                check()
                try:
                    _refresh(connection, view)
                except psycopg.errors.ObjectNotInPrerequisiteState:
                    # It reads one that has been emptied since.
                    filled |= views.keys()
                    for read in list(views)[: list(views).index(view) + 1]:
                        _refresh(connection, read)
        for view in views:
            if not wanted[view] and (views[view] or view in filled):
                _refresh(connection, view, " WITH NO DATA")
    return [".".join(view) for view in views if wanted[view]]


def _refresh(connection: psycopg.Connection[Any], view: tuple[str, str], how: LiteralString = "") -> None:
    connection.execute(sql.SQL("REFRESH MATERIALIZED VIEW {}").format(sql.Identifier(*view)) + sql.SQL(how))

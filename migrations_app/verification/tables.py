"""What a comparison has to know of a table, on both sides: its columns, and the key by which rows are told apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import psycopg

from migrations_app.dataplane.database.connection import rows, value
from migrations_app.dataplane.database.pgoutput import Table
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA


@dataclass(frozen=True)
class KeyColumn:
    """`order`: what decides how values are sorted, '' where that cannot be told. The operators are those of the key's
    index, fit to be put into a statement."""

    name: str
    type: str
    order: str
    below: str
    at_most: str
    equal: str
    at_least: str
    above: str


@dataclass(frozen=True)
class Shape:
    """One table on one side. `columns` by name, as a child's come in another order after a restore if its parents got
    some of them later. `key`: empty without a unique index over columns that are never null. `bytes`:
    without its indexes. `estimate`: its rows, as the statistics have it."""

    name: Table
    columns: tuple[str, ...]
    key: tuple[KeyColumn, ...]
    persistent: bool
    bytes: int = field(compare=False)
    estimate: int = field(compare=False)

    def is_cut_like(self, other: Shape) -> bool:
        """Ranges of the key hold the same rows on both sides."""
        orders = [[(column.name, column.type, column.order) for column in shape.key] for shape in (self, other)]
        return bool(self.key) and orders[0] == orders[1] and all(column.order for column in self.key)


# The replica identity first: of it a stream tells every key. Under REPLICA IDENTITY FULL it tells all columns.
_SHAPES = """
WITH t AS (
    SELECT c.oid, n.nspname, c.relname, c.relpersistence, pg_table_size(c.oid) AS bytes,
           greatest(c.reltuples, 0)::bigint AS estimate,
           (SELECT x.indexrelid
              FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am m ON m.oid = i.relam
             WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL
               AND x.indexprs IS NULL AND m.amname = 'btree'
               AND NOT EXISTS (SELECT 1 FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, n)
                                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
                                WHERE k.n <= x.indnkeyatts AND NOT a.attnotnull)
             ORDER BY CASE c.relreplident WHEN 'i' THEN x.indisreplident ELSE x.indisprimary END DESC, x.indexrelid
             LIMIT 1) AS index
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.oid >= 16384 AND n.nspname <> %s
       AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                        AND d.deptype = 'e')
), keys AS (
    SELECT t.oid, count(DISTINCT (x.indoption::int2[])[k.n - 1] & 1) > 1 AS mixed,
           json_agg(ARRAY[a.attname::text, format_type(a.atttypid, -1),
                          CASE WHEN y.typtype IN ('b', 'e') AND y.typcategory <> 'A'
                               THEN coalesce({collation}, '-') ELSE '' END]
                    || ARRAY(SELECT format('OPERATOR(%%I.%%s)', s.nspname, o.oprname)
                               FROM pg_amop m JOIN pg_operator o ON o.oid = m.amopopr
                               JOIN pg_namespace s ON s.oid = o.oprnamespace
                              WHERE m.amopfamily = p.opcfamily AND m.amoplefttype = p.opcintype
                                AND m.amoprighttype = p.opcintype AND m.amoppurpose = 's'
                              ORDER BY m.amopstrategy)
                     ORDER BY k.n) AS columns
      FROM t JOIN pg_index x ON x.indexrelid = t.index, unnest(x.indkey::int2[]) WITH ORDINALITY k(attnum, n),
           pg_attribute a, pg_type d, pg_type y, pg_opclass p
     WHERE k.n <= x.indnkeyatts AND a.attrelid = t.oid AND a.attnum = k.attnum
       AND d.oid = a.atttypid AND y.oid = CASE d.typtype WHEN 'd' THEN d.typbasetype ELSE d.oid END
       AND p.oid = (x.indclass::oid[])[k.n - 1]
     GROUP BY t.oid
)
SELECT t.nspname, t.relname,
       ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped
              ORDER BY attname COLLATE "C"),
       keys.columns, keys.mixed, t.relpersistence = 'p', t.bytes, t.estimate
  FROM t LEFT JOIN keys ON keys.oid = t.oid
"""

# Of a database without versions of collations, only C sorts for sure as another one's.
_COLLATION = """(SELECT CASE WHEN l.collprovider = 'c' AND l.collcollate IN ('C', 'POSIX') THEN 'C'
                                             WHEN l.collprovider <> 'd'
                                             THEN concat_ws('/', l.collprovider, l.collcollate, {locale}, {rules},
                                                            l.collisdeterministic,
                                                            pg_collation_actual_version(l.oid))
                                             ELSE %s END
                                        FROM pg_collation l WHERE l.oid = (x.indcollation::oid[])[k.n - 1])"""


def shapes(connection: psycopg.Connection[Any]) -> dict[Table, Shape]:
    """Every table that is not an extension's own, temporary, or ours."""
    version = connection.info.server_version
    collation = _COLLATION.format(
        locale="l.colllocale" if version >= 170000 else "l.colliculocale" if version >= 150000 else "NULL",
        rules="l.collicurules" if version >= 160000 else "NULL",
    )
    query = _SHAPES.format(collation=collation)
    found = rows(connection, query, SENTINEL_SCHEMA, _default_collation(connection))
    return {
        (schema, name): Shape(
            (schema, name),
            tuple(columns),
            # An index that sorts one column backwards and another one not cannot be walked.
            tuple(KeyColumn(name_, type_, "" if mixed else order, *ops) for name_, type_, order, *ops in key or ()),
            persistent,
            size,
            estimate,
        )
        for schema, name, columns, key, mixed, persistent, size, estimate in found
    }


def _default_collation(connection: psycopg.Connection[Any]) -> str:
    """What decides how the database sorts; '' where that cannot be told."""
    version = connection.info.server_version
    if version < 150000:
        is_c = value(
            connection, "SELECT datcollate IN ('C', 'POSIX') FROM pg_database WHERE datname = current_database()"
        )
        return "C" if is_c else ""
    return value(
        connection,
        f"""SELECT CASE WHEN datlocprovider = 'c' AND datcollate IN ('C', 'POSIX') THEN 'C'
                        ELSE concat_ws('/', datlocprovider, datcollate, {
            "datlocale" if version >= 170000 else "daticulocale"
        }, {"daticurules" if version >= 160000 else "NULL"}, 'true',
                                       pg_database_collation_actual_version(oid)) END
              FROM pg_database WHERE datname = current_database()""",  # noqa: S608
    )


@dataclass(frozen=True)
class Pair:
    """A table as it is at the source and at the destination; None: it is not there. `cut`: it is compared in ranges of
    its key."""

    name: Table
    source: Shape | None
    dest: Shape | None

    @property
    def title(self) -> str:
        return ".".join(self.name)

    @property
    def cut(self) -> bool:
        return bool(self.source and self.dest and self.source.is_cut_like(self.dest))

    @property
    def key(self) -> tuple[str, ...]:
        """The columns by which rows are told apart on both sides."""
        at_source, at_dest = ([c.name for c in shape.key] if shape else [] for shape in (self.source, self.dest))
        return tuple(at_source) if at_source == at_dest else ()


def pairs(source: dict[Table, Shape], dest: dict[Table, Shape]) -> list[Pair]:
    """The largest first, so that no large one is left for the end."""
    found = [Pair(name, source.get(name), dest.get(name)) for name in source.keys() | dest.keys()]
    return sorted(found, key=lambda pair: (-(pair.source.bytes if pair.source else 0), pair.name))

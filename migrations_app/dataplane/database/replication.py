"""Keeps a retained replica current: publication and slot at the primary, subscription at the replica.

Created while nobody can write, so that no row is copied (`copy_data = false`; with true it loops on duplicate keys for
ever) and none is missed. What is made for a move bears the move's name, in both regions.

A sentinel row proves the stream: positions alone prove nothing. Its table lives in a schema of its own, for as long as
a proof takes.
"""

from __future__ import annotations

import secrets
import time
import uuid
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from migrations_app.dataplane.database import settings
from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.dataplane.database.creation import drop_subscription
from migrations_app.dataplane.database.tripwire import drop_slot
from migrations_app.dataplane.process import Check
from migrations_app.errors import PermanentError, TransientError

SENTINEL_SCHEMA = "portal_move"
_SENTINEL = sql.Identifier(SENTINEL_SCHEMA, "sentinel")

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


# -- replica identity -----------------------------------------------------------------------------------------------

# What tells a row of each table from the others: `key` is the index of its replica identity, else one that could be.
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


def give_identity(cluster: Cluster, missing: list[list[str]]) -> None:
    """Give those tables one: a unique index over columns that are never null, else the whole row (at a price)."""
    with cluster.connect() as connection:
        for schema, table, _, index in missing:
            using = sql.SQL("USING INDEX {}").format(sql.Identifier(index)) if index else sql.SQL("FULL")
            _set_identity(connection, schema, table, using)


def restore_identity(cluster: Cluster, missing: list[list[str]]) -> None:
    """Put replica identities back to what missing_identity() found; tables dropped meanwhile are passed over."""
    with cluster.connect() as connection:
        present = set(tables(connection))
        for schema, table, before, _ in missing:
            if (schema, table) in present:
                _set_identity(connection, schema, table, sql.SQL("NOTHING" if before == "n" else "DEFAULT"))


def _set_identity(connection: psycopg.Connection[Any], schema: str, table: str, using: sql.Composable) -> None:
    connection.execute(sql.SQL("ALTER TABLE {} REPLICA IDENTITY {}").format(sql.Identifier(schema, table), using))


# -- the stream -----------------------------------------------------------------------------------------------------


def publish(primary: Cluster, name: str) -> None:
    """At the primary: a publication of every table (listed, so that drift shows), the slot, and the stream's role."""
    with primary.connect() as connection:
        if not value(connection, "SELECT count(*) FROM pg_publication WHERE pubname = %s", name):
            never = set(unstreamable(connection))
            listed = [sql.Identifier(*table) for table in tables(connection) if table not in never]
            statement = sql.SQL("CREATE PUBLICATION {}").format(sql.Identifier(name))
            if listed:
                statement += sql.SQL(" FOR TABLE ONLY ") + sql.SQL(", ONLY ").join(listed)
            connection.execute(statement)
        connection.execute("SET statement_timeout = '60s'")
        if not value(connection, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", name):
            value(connection, "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", name)


def probe(primary: Cluster, replica: Cluster, name: str) -> None:
    """Let the replica's cluster connect to the primary as its subscription will: made, and rolled back.

    Leaves the stream's role at the primary. Errors: those of the connection, before anything depends on it.
    """
    conninfo = _stream_role(primary, name)
    with replica.connect() as connection, connection.transaction(force_rollback=True):
        connection.execute(_create_subscription(name, conninfo, ["create_slot = false", "enabled = false"]))


def subscribe(primary: Cluster, replica: Cluster, name: str) -> None:
    """At the replica: the subscription, reading the slot that publish() made. A half-made one is begun anew."""
    conninfo = _stream_role(primary, name)
    unsubscribe(replica, name)
    with replica.admin() as admin:
        # What applies the stream takes the settings of the database as an app does, unless its role has others there.
        for setting, text in replica.safe_settings().items():
            settings.apply(admin, f"{setting}={text}", role=_ourselves(admin), dbname=replica.dbname)
    with replica.connect() as connection:
        options = ["create_slot = false", "copy_data = false"]
        if connection.info.server_version >= 160000:
            options += ["origin = none", "run_as_owner = true", "streaming = parallel"]
        connection.execute(_create_subscription(name, conninfo, options))


def _stream_role(primary: Cluster, name: str) -> str:
    """Make the stream's role, or give it a new password, and return the connection string of its subscription.

    The password is kept nowhere but in the replica's own catalog.
    """
    password = secrets.token_urlsafe(32)
    role = sql.Identifier(name)
    with primary.admin() as admin:
        if not value(admin, "SELECT count(*) FROM pg_roles WHERE rolname = %s", name):
            admin.execute(sql.SQL("CREATE ROLE {} LOGIN REPLICATION").format(role))
        admin.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(role, sql.Literal(password)))
        admin.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(sql.Identifier(primary.dbname), role))
        for setting, text in primary.safe_settings().items():
            settings.apply(admin, f"{setting}={text}", role=name)
    return make_conninfo(
        primary.from_regions, dbname=primary.dbname, user=name, password=password, application_name=name
    )


def _create_subscription(name: str, conninfo: str, options: list[str]) -> sql.Composed:
    return sql.SQL("CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {} WITH ({}, slot_name = {})").format(
        sql.Identifier(name),
        sql.Literal(conninfo),
        sql.Identifier(name),
        sql.SQL(", ".join(options)),
        sql.Literal(name),
    )


def unsubscribe(replica: Cluster, name: str) -> bool:
    """Drop the subscription and leave its slot alone; False if there is none."""
    with replica.connect() as connection:
        there = value(connection, "SELECT count(*) FROM pg_subscription WHERE subname = %s", name) == 1
        if there:
            drop_subscription(connection, name)
    with replica.admin() as admin:
        for setting in replica.safe_settings():
            settings.reset(admin, setting, role=_ourselves(admin), dbname=replica.dbname)
    return there


def _ourselves(connection: psycopg.Connection[Any]) -> str:
    return value(connection, "SELECT current_user")


def unpublish(primary: Cluster, name: str, *, check: Check) -> None:
    """Drop slot, publication and role of the stream at the primary, whichever of them are there."""
    drop_slot(primary, name, check=check)
    role = sql.Identifier(name)
    if primary.exists():
        with primary.connect() as connection:
            connection.execute(sql.SQL("DROP PUBLICATION IF EXISTS {}").format(role))
    with primary.admin() as admin:
        if value(admin, "SELECT count(*) FROM pg_roles WHERE rolname = %s", name):
            if primary.exists():
                admin.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM {}").format(sql.Identifier(primary.dbname), role))
            admin.execute(sql.SQL("DROP ROLE {}").format(role))


# -- proof ----------------------------------------------------------------------------------------------------------


def make_sentinel(cluster: Cluster) -> None:
    with cluster.connect() as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SENTINEL_SCHEMA)))
        connection.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} (id uuid PRIMARY KEY)").format(_SENTINEL))


def lay_sentinel(primary: Cluster, replica: Cluster, name: str) -> None:
    """Make the sentinel's table on both sides and let the stream carry it, if there is a stream already."""
    make_sentinel(replica)
    make_sentinel(primary)
    with primary.connect() as connection:
        published = rows(
            connection,
            "SELECT schemaname FROM pg_publication_tables WHERE pubname = %s AND schemaname = %s",
            name,
            SENTINEL_SCHEMA,
        )
        if not published and value(connection, "SELECT count(*) FROM pg_publication WHERE pubname = %s", name):
            connection.execute(sql.SQL("ALTER PUBLICATION {} ADD TABLE {}").format(sql.Identifier(name), _SENTINEL))
    with replica.connect() as connection:
        if value(connection, "SELECT count(*) FROM pg_subscription WHERE subname = %s", name):
            connection.execute(
                sql.SQL("ALTER SUBSCRIPTION {} REFRESH PUBLICATION WITH (copy_data = false)").format(
                    sql.Identifier(name)
                )
            )


def prove_stream(primary: Cluster, replica: Cluster, *, deadline_seconds: float, check: Check) -> float:
    """Write a sentinel row at the primary and wait until it is at the replica. Returns the seconds it took.

    Errors: TransientError `stream_stuck` past the deadline, with what the replica says of its subscription.
    """
    sent = uuid.uuid4()
    began = time.monotonic()
    with primary.connect() as connection:
        connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(_SENTINEL, sql.Literal(sent)))
    with replica.connect() as connection:
        while not rows(connection, sql.SQL("SELECT 1 FROM {} WHERE id = {}").format(_SENTINEL, sql.Literal(sent))):
            if time.monotonic() - began > deadline_seconds:
                raise TransientError(
                    f"A row written in {primary.region} did not reach {replica.region} within "
                    f"{deadline_seconds:.0f} s.",
                    hint=f"The PostgreSQL log in {replica.region} says what stops the subscription.",
                    code="stream_stuck",
                )
            check()
            time.sleep(0.02)
    return time.monotonic() - began


def lift_sentinel(primary: Cluster, replica: Cluster, *, stream: str = "") -> None:
    """Drop the sentinel's table on both sides, at the primary first so that the replica never misses one it needs.

    Of a `stream` that lags, rows of the sentinel may still be under way: then the replica's table stays, for apply
    would stop without it. It goes with the replica, or with the next reverse.
    """
    drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SENTINEL_SCHEMA))
    with primary.connect() as connection:
        connection.execute(drop)
    if stream and not _is_drained(primary, stream, position(primary)):
        return
    with replica.connect() as connection:
        connection.execute(drop)


def _is_drained(primary: Cluster, name: str, lsn: str) -> bool:
    """The stream is confirmed up to `lsn`, or is within two seconds."""
    give_up_at = time.monotonic() + 2
    query = "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
    with primary.admin() as admin:
        while not value(admin, query, lsn, name):
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.05)
    return True


def position(cluster: Cluster) -> str:
    """The cluster's WAL position, e.g. `0/1A2B3C4`."""
    with cluster.admin() as admin:
        return value(admin, "SELECT pg_current_wal_lsn()::text")


def is_streaming(primary: Cluster, name: str) -> bool:
    """The stream's slot is there and a replica reads it."""
    with primary.admin() as admin:
        return bool(value(admin, "SELECT active FROM pg_replication_slots WHERE slot_name = %s", name))


def drain(primary: Cluster, replica: Cluster, name: str, lsn: str, *, deadline_seconds: float, check: Check) -> float:
    """Wait until everything up to `lsn` at the primary has been applied at the replica. Returns the seconds it took.

    Three proofs, all needed: the slot is confirmed up to there, a sentinel row written behind it has arrived, and every
    table of the subscription is ready.

    Errors: PermanentError `slot_missing`; TransientError `stream_stuck` past the deadline.
    """
    began = time.monotonic()
    prove_stream(primary, replica, deadline_seconds=deadline_seconds, check=check)
    with primary.admin() as at_primary, replica.connect() as at_replica:
        while True:
            confirmed = rows(
                at_primary,
                "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s",
                lsn,
                name,
            )
            if not confirmed:
                raise PermanentError(
                    f"The slot {name} is gone from {primary.region}: the replica cannot be brought up to date.",
                    hint="Tear the replica down and move the app with the snapshot strategy.",
                    code="slot_missing",
                )
            unready = rows(
                at_replica,
                "SELECT srrelid::regclass::text FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid "
                "WHERE s.subname = %s AND srsubstate <> 'r'",
                name,
            )
            if confirmed[0][0] and not unready:
                return time.monotonic() - began
            if time.monotonic() - began > deadline_seconds:
                raise TransientError(
                    f"{replica.region} has not applied everything up to {lsn} within {deadline_seconds:.0f} s.",
                    hint=f"The PostgreSQL log in {replica.region} says what stops the subscription.",
                    code="stream_stuck",
                )
            check()
            time.sleep(0.02)

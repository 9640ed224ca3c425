"""Looks at a stream that keeps a replica current, from both of its ends. Reads catalogs only, and never for long."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from migrations_app.dataplane.database.connection import Cluster, rows
from migrations_app.dataplane.database.identity import tables, unstreamable
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA

MISSING = "missing"
"""Beside PostgreSQL's own words for the state of a slot: reserved, extended, unreserved, lost."""

Fingerprints = dict[str, str]
"""Table as `schema.name` → hash of the names and types of its columns, whatever their order."""


@dataclass(frozen=True)
class Slot:
    """What the primary says of a stream's slot. Sizes in bytes.

    `lag_seconds` is replay_lag of pg_stat_replication: how long ago the primary had written what the replica confirmed
    last; 0 when it has confirmed all, None when nothing reads the slot. `reached`: confirmed up to the position asked
    about. `room`: what may still be written before the slot is lost; None without max_slot_wal_keep_size.
    """

    position: str
    wal_status: str
    active: bool
    retained_bytes: int
    lag_bytes: int
    lag_seconds: float | None
    reached: bool
    room: int | None


@dataclass(frozen=True)
class Sending(Slot):
    """What the primary says of a stream: of its slot and of what is sent. `unpublished`: what is not, and should be."""

    unpublished: list[str]
    tables: Fingerprints


@dataclass(frozen=True)
class Applying:
    """What the replica says of it.

    `errors`: how often applying failed since the counters were reset. `uncopied`: tables that were added to the stream
    and have not got the rows yet that were there before.
    """

    there: bool
    enabled: bool
    running: bool
    errors: int
    uncopied: list[str]
    tables: Fingerprints


_SLOT = """
SELECT pg_current_wal_lsn()::text, s.wal_status, s.active,
       (pg_current_wal_lsn() - s.restart_lsn)::bigint,
       (pg_current_wal_lsn() - s.confirmed_flush_lsn)::bigint,
       CASE WHEN r.pid IS NOT NULL THEN extract(epoch FROM coalesce(r.replay_lag, '0'))::float END,
       s.confirmed_flush_lsn >= nullif(%(mark)s, '')::pg_lsn,
       s.safe_wal_size
  FROM (SELECT %(name)s AS name) wanted
  LEFT JOIN pg_replication_slots s ON s.slot_name = wanted.name
  LEFT JOIN pg_stat_replication r ON r.pid = s.active_pid
"""

_APPLYING = """
SELECT s.subenabled,
       EXISTS (SELECT FROM pg_stat_subscription w WHERE w.subid = s.oid AND w.relid IS NULL AND w.pid IS NOT NULL),
       coalesce((SELECT c.apply_error_count FROM pg_stat_subscription_stats c WHERE c.subid = s.oid), 0)
  FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid
 WHERE s.subname = %s AND d.datname = current_database()
"""

_UNCOPIED = """
SELECT n.nspname || '.' || c.relname
  FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid
  JOIN pg_class c ON c.oid = r.srrelid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE s.subname = %s AND r.srsubstate <> 'r' AND n.nspname <> %s ORDER BY 1
"""

_FINGERPRINTS = """
SELECT n.nspname || '.' || c.relname,
       md5(coalesce(string_agg(format('%%I %%s %%s', a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated),
                               ',' ORDER BY a.attname) FILTER (WHERE a.attname IS NOT NULL), ''))
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND c.oid >= 16384
   AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname NOT IN ('information_schema', %s)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.deptype = 'e')
 GROUP BY n.nspname, c.relname
"""


def look_at_slot(primary: Cluster, name: str) -> Slot:
    """One query. Errors: those of the connection."""
    with briefly(primary) as connection:
        return _slot(connection, name, "")


def look_at_primary(primary: Cluster, name: str, *, mark: str = "") -> Sending:
    """`mark`: the position to be asked about, e.g. `0/1A2B3C4`. Errors: those of the connection."""
    with briefly(primary) as connection:
        slot = _slot(connection, name, mark)
        published = {
            tuple(row)
            for row in rows(
                connection, "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = %s", name
            )
        }
        unpublished = {table for table in tables(connection) if table not in published and table[0] != SENTINEL_SCHEMA}
        if unpublished:
            unpublished -= set(unstreamable(connection))
        return Sending(
            **vars(slot),
            unpublished=sorted(".".join(table) for table in unpublished),
            tables=fingerprints(connection),
        )


def _slot(connection: psycopg.Connection[Any], name: str, mark: str) -> Slot:
    position, wal_status, active, retained, lag, seconds, reached, room = connection.execute(
        _SLOT, {"name": name, "mark": mark}
    ).fetchone()  # type: ignore[misc]  # one row, whether there is a slot or not
    return Slot(
        position=position,
        wal_status=wal_status or MISSING,
        active=bool(active),
        retained_bytes=retained or 0,
        lag_bytes=lag or 0,
        lag_seconds=seconds,
        reached=bool(reached),
        room=room,
    )


def look_at_replica(replica: Cluster, name: str) -> Applying:
    """Errors: those of the connection."""
    with briefly(replica) as connection:
        found = rows(connection, _APPLYING, name)
        enabled, running, errors = found[0] if found else (False, False, 0)
        return Applying(
            there=bool(found),
            enabled=enabled,
            running=running,
            errors=errors,
            uncopied=[table for (table,) in rows(connection, _UNCOPIED, name, SENTINEL_SCHEMA)],
            tables=fingerprints(connection),
        )


@contextmanager
def briefly(cluster: Cluster) -> Iterator[psycopg.Connection[Any]]:
    """A session whose every statement gives up soon."""
    with cluster.connect() as connection:
        connection.execute("SET statement_timeout = '5s'")
        connection.execute("SET lock_timeout = '1s'")
        yield connection


def fingerprints(connection: psycopg.Connection[Any]) -> Fingerprints:
    """Of every table but extensions' own and the portal's."""
    return {table: columns for table, columns in rows(connection, _FINGERPRINTS, SENTINEL_SCHEMA)}

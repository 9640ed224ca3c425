"""Proves that a stream flows, and waits until it has drained.

Positions alone prove nothing: a sentinel row makes the trip. Its table lives in a schema of its own, for as long as a
proof takes.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from psycopg import Connection, sql

from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.dataplane.process import Check
from migrations_app.errors import PermanentError, TransientError

SENTINEL_SCHEMA = "portal_move"
_LOOK_SECONDS = 0.01
_SENTINEL = sql.Identifier(SENTINEL_SCHEMA, "sentinel")


def make_sentinel(cluster: Cluster) -> None:
    with cluster.connect() as connection:
        connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(SENTINEL_SCHEMA)))
        connection.execute(sql.SQL("CREATE TABLE IF NOT EXISTS {} (id uuid PRIMARY KEY)").format(_SENTINEL))


def drop_sentinel(cluster: Cluster) -> None:
    with cluster.connect() as connection:
        connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(SENTINEL_SCHEMA)))


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
            time.sleep(_LOOK_SECONDS)
    return time.monotonic() - began


def _hurry(primary: Cluster, replica: Cluster) -> None:
    """What is applied is confirmed once the replica's disk has it, which happens a few times a second, and is told with
    what comes next: let both happen now."""
    with replica.connect() as connection:
        value(connection, "SELECT pg_logical_emit_message(true, 'portal', '')")
    with primary.connect() as connection:
        connection.execute(sql.SQL("INSERT INTO {} VALUES ({})").format(_SENTINEL, sql.Literal(uuid.uuid4())))


def lift_sentinel(primary: Cluster, replica: Cluster, *, stream: str = "") -> None:
    """Drop the sentinel's table on both sides, at the primary first so that the replica never misses one it needs.

    Of a `stream` that lags, rows of the sentinel may still be under way: then the replica's table stays, for apply
    would stop without it. It goes with the replica, or with the next reverse.
    """
    drop_sentinel(primary)
    if not stream or _is_drained(primary, stream, position(primary)):
        drop_sentinel(replica)


def _is_drained(primary: Cluster, name: str, lsn: str) -> bool:
    """The stream is confirmed up to `lsn`, or is within two seconds."""
    give_up_at = time.monotonic() + 2
    with primary.admin() as admin:
        while not is_confirmed(admin, name, lsn):
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.05)
    return True


def is_confirmed(primary: Connection[Any], name: str, lsn: str) -> bool | None:
    """The slot's reader has everything up to `lsn`; None: there is no such slot."""
    found = rows(
        primary,
        "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s",
        lsn,
        name,
    )
    return bool(found[0][0]) if found else None


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
            confirmed = is_confirmed(at_primary, name, lsn)
            if confirmed is None:
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
            if confirmed and not unready:
                return time.monotonic() - began
            if not confirmed:
                _hurry(primary, replica)
            if time.monotonic() - began > deadline_seconds:
                raise TransientError(
                    f"{replica.region} has not applied everything up to {lsn} within {deadline_seconds:.0f} s.",
                    hint=f"The PostgreSQL log in {replica.region} says what stops the subscription.",
                    code="stream_stuck",
                )
            check()
            time.sleep(_LOOK_SECONDS)

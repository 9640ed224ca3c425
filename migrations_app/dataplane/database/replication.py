"""Keeps a retained replica current: publication and slot at the primary, subscription at the replica.

Created while nobody can write, so that no row is copied (`copy_data = false`; with true it loops on duplicate keys for
ever) and none is missed. What is made for a move bears the move's name, in both regions.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from migrations_app.dataplane.database import settings
from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.dataplane.database.creation import drop_subscription
from migrations_app.dataplane.database.identity import tables, unstreamable
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.dataplane.database.tripwire import drop_slot
from migrations_app.dataplane.process import Check


def publish(primary: Cluster, name: str) -> None:
    """At the primary: a publication of every table that a stream can carry; listed, so that drift shows."""
    with primary.connect() as connection:
        if not value(connection, "SELECT count(*) FROM pg_publication WHERE pubname = %s", name):
            never = set(unstreamable(connection))
            listed = [sql.Identifier(*table) for table in tables(connection) if table not in never]
            statement = sql.SQL("CREATE PUBLICATION {}").format(sql.Identifier(name))
            if listed:
                statement += sql.SQL(" FOR TABLE ONLY ") + sql.SQL(", ONLY ").join(listed)
            connection.execute(statement)


def make_slot(primary: Cluster, name: str) -> None:
    """Make the stream's slot, unless it is there. Waits for every write transaction of the cluster, for a minute."""
    with primary.connect() as connection:
        connection.execute("SET statement_timeout = '60s'")
        if not value(connection, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", name):
            value(connection, "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", name)


def probe(primary: Cluster, replica: Cluster, name: str) -> None:
    """Let the replica's cluster connect to the primary as its subscription will: made, and rolled back.

    Leaves the stream's role at the primary. Errors: those of the connection, before anything depends on it.
    """
    publication = f"{name}_probe"  # there is none: what is published would be looked for at the replica
    conninfo = _stream_role(primary, name)
    with replica.connect() as connection, connection.transaction(force_rollback=True):
        options = ["create_slot = false", "enabled = false"]
        connection.execute(_create_subscription(name, conninfo, options, publication=publication))


def subscribe(primary: Cluster, replica: Cluster, name: str) -> None:
    """At the replica: the subscription, reading the slot of that name. A half-made one is begun anew: nothing may have
    been streamed yet, for what was would come again."""
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
        connection.execute(_create_subscription(name, conninfo, options, publication=name))


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


def _create_subscription(name: str, conninfo: str, options: list[str], *, publication: str) -> sql.Composed:
    return sql.SQL("CREATE SUBSCRIPTION {} CONNECTION {} PUBLICATION {} WITH ({}, slot_name = {})").format(
        sql.Identifier(name),
        sql.Literal(conninfo),
        sql.Identifier(publication),
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


def pause(replica: Cluster, name: str) -> None:
    """Let the subscription rest, if it is there; its slot keeps what comes meanwhile."""
    if is_subscribed(replica, name):
        with replica.connect() as connection:
            connection.execute(sql.SQL("ALTER SUBSCRIPTION {} DISABLE").format(sql.Identifier(name)))


def resume(replica: Cluster, name: str) -> None:
    with replica.connect() as connection:
        connection.execute(sql.SQL("ALTER SUBSCRIPTION {} ENABLE").format(sql.Identifier(name)))


def is_subscribed(replica: Cluster, name: str) -> bool:
    with replica.connect() as connection:
        return value(connection, "SELECT count(*) FROM pg_subscription WHERE subname = %s", name) == 1


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


def pending_changes(primary: Cluster, name: str, *, check: Check) -> int:
    """Row changes at the primary that its stream has not carried yet; at most 1000 count. Left out are the sentinel's,
    and from PostgreSQL 16 on what another stream brought there.

    0 as well when database, slot or publication are not there. Whoever still reads the slot is ended.
    """
    if not primary.exists():
        return 0
    with primary.connect() as connection:
        if not value(connection, "SELECT count(*) FROM pg_publication WHERE pubname = %s", name):
            return 0
        value(connection, "SELECT pg_logical_emit_message(true, 'portal', '')")  # flushes what others have committed
        messages = _peek(connection, name, check)
    ours: set[bytes] = set()
    found = 0
    for (message,) in messages:
        kind, relation = message[:1], message[1:5]
        if kind == b"R" and message[5:].startswith(SENTINEL_SCHEMA.encode() + b"\0"):
            ours.add(relation)
        found += kind == b"T" or (kind in (b"I", b"U", b"D") and relation not in ours)
    return found


def _peek(connection: psycopg.Connection[Any], name: str, check: Check) -> list[Any]:
    options = ["proto_version", "1", "publication_names", sql.Identifier(name).as_string()]
    if connection.info.server_version >= 160000:
        options += ["origin", "none"]
    give_up_at = time.monotonic() + 30
    while True:
        rows(
            connection,
            "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots "
            "WHERE slot_name = %s AND active_pid IS NOT NULL",
            name,
        )
        try:
            return rows(
                connection,
                "SELECT c.data FROM pg_replication_slots s, "
                "pg_logical_slot_peek_binary_changes(s.slot_name, NULL, 1000, VARIADIC %s::text[]) c "
                "WHERE s.slot_name = %s",
                options,
                name,
            )
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > give_up_at:
                raise
        check()
        time.sleep(0.05)

"""A logical slot that stands at the fence: any row change behind it stays on the slot and is seen.

Decoded with test_decoding, which needs no publication and so touches nothing of the app's.
"""

from __future__ import annotations

import re
import time
from typing import Any

import psycopg

from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.dataplane.process import Check
from migrations_app.errors import TransientError

_CHANGE = re.compile(r"(table .+?: (?:INSERT|UPDATE|DELETE|TRUNCATE)):", re.DOTALL)


def create(cluster: Cluster, name: str, *, patience_seconds: int) -> None:
    """Make the slot, unless it is there. Waits for write transactions of the whole cluster.

    Errors: TransientError `database_57014` when they last longer than the patience.
    """
    with cluster.connect() as connection:
        value(connection, "SELECT set_config('statement_timeout', %s, false)", f"{patience_seconds}s")
        if not value(connection, "SELECT count(*) FROM pg_replication_slots WHERE slot_name = %s", name):
            value(connection, "SELECT pg_create_logical_replication_slot(%s, 'test_decoding')", name)


def arm(cluster: Cluster, name: str, lsn: str) -> None:
    """Move the slot on to `lsn`, unless it was made behind it: what was written before is of no interest."""
    with cluster.connect() as connection:
        advance(connection, name, lsn)


def advance(connection: psycopg.Connection[Any], name: str, lsn: str) -> None:
    """Let a slot go of everything up to `lsn`."""
    value(
        connection,
        "SELECT pg_replication_slot_advance(slot_name, %s::pg_lsn) FROM pg_replication_slots "
        "WHERE slot_name = %s AND confirmed_flush_lsn < %s::pg_lsn",
        lsn,
        name,
        lsn,
    )


def changes(cluster: Cluster, name: str) -> list[str]:
    """The first few row changes since the slot was made, as test_decoding words them without their values."""
    with cluster.connect() as connection:
        # A commit of ours flushes what others committed without waiting for the disk; the slot reads what is flushed.
        value(connection, "SELECT pg_logical_emit_message(true, 'portal', '')")
        found = rows(
            connection,
            "SELECT data FROM pg_logical_slot_peek_changes("
            "%s, NULL, 1000, 'skip-empty-xacts', '1', 'include-xids', '0')",
            name,
        )
    return [change[1] for row in found if (change := _CHANGE.match(row[0]))][:5]


def drop_slot(cluster: Cluster, name: str, *, check: Check) -> None:
    """Drop a slot by name, with patience while it is active; without this it keeps WAL for ever.

    Errors: TransientError `slot_active` after 30 seconds.
    """
    give_up_at = time.monotonic() + 30
    with cluster.admin() as admin:
        while True:
            slot = rows(admin, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", name)
            if not slot:
                return
            if slot[0][0] is not None:
                value(admin, "SELECT pg_terminate_backend(%s)", slot[0][0])
            try:
                value(admin, "SELECT pg_drop_replication_slot(%s)", name)
                return
            except (psycopg.errors.ObjectInUse, psycopg.errors.UndefinedObject):
                pass
            if time.monotonic() > give_up_at:
                raise TransientError(f"Slot {name} in {cluster.region} stays in use.", code="slot_active")
            check()
            time.sleep(0.05)

"""A logical slot with the snapshot it begins at: what a dump reads through it is exactly what the slot does not send.

The snapshot lives as long as the session that made it, and no other can take it over. So slot and dump are made
together; when the session is gone before the dump is complete, both are made anew.
"""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import pq, sql

from migrations_app.dataplane.database.connection import Cluster, explained, value
from migrations_app.dataplane.database.tripwire import drop_slot
from migrations_app.dataplane.process import Check
from migrations_app.errors import TransientError


@contextmanager
def exported(primary: Cluster, name: str, *, patience_seconds: float, check: Check) -> Iterator[str]:
    """Make the slot `name` (pgoutput), in place of an older one, and yield the name of its snapshot, good for as long
    as the body runs.

    Making it waits for every write transaction of the cluster. Errors: TransientError `slot_waits` past the patience.
    """
    drop_slot(primary, name, check=check)
    with primary.replication_session() as session, explained(primary.region):
        yield _create(session, primary, name, patience_seconds, check)


def _create(
    session: psycopg.Connection[Any], primary: Cluster, name: str, patience_seconds: float, check: Check
) -> str:
    command = sql.SQL("CREATE_REPLICATION_SLOT {} LOGICAL pgoutput (SNAPSHOT 'export')").format(sql.Identifier(name))
    give_up_at = time.monotonic() + patience_seconds
    pgconn = session.pgconn
    pgconn.send_query(command.as_bytes(None))
    try:
        while pgconn.is_busy():
            check()
            if time.monotonic() > give_up_at:
                raise TransientError(
                    f"Slot {name} in {primary.region} waits for transactions that have been open longer than "
                    f"{patience_seconds:.0f} s: {_oldest(primary)}.",
                    hint="End them, or try again once they are over. No slot can begin before they have.",
                    code="slot_waits",
                )
            select.select([pgconn.socket], [], [], 0.05)
            pgconn.consume_input()
    except BaseException:
        with primary.admin() as admin:  # it does not notice that nobody listens any more
            value(admin, "SELECT pg_terminate_backend(%s)", pgconn.backend_pid)
        raise
    result = pgconn.get_result()
    if result is None or result.status != pq.ExecStatus.TUPLES_OK:
        said = pgconn.error_message.decode(errors="replace").strip()
        raise TransientError(f"PostgreSQL in {primary.region}: {said}", code="slot_not_made")
    snapshot = result.get_value(0, 2)
    while pgconn.get_result() is not None:
        pass
    return (snapshot or b"").decode()


def _oldest(primary: Cluster) -> str:
    """Who holds it up, by process id, role and database; never what they say."""
    with primary.admin() as admin:
        found = admin.execute(
            "SELECT pid, usename, datname FROM pg_stat_activity WHERE backend_xid IS NOT NULL "
            "ORDER BY xact_start LIMIT 3"
        ).fetchall()
    return ", ".join(f"process {pid} of {role} in {dbname}" for pid, role, dbname in found) or "none is left now"

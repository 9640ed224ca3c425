"""A second slot beside a stream's own, which tells the rows that were written since it was made.

It reads the stream's publication and nobody subscribes to it. What it holds stays there until advance(), so that
whoever dies in between loses nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from migrations_app.dataplane.database.connection import Cluster, value
from migrations_app.dataplane.database.lsn import number, worded
from migrations_app.dataplane.database.pgoutput import Change, Decoder, Table
from migrations_app.dataplane.database.proof import is_confirmed
from migrations_app.dataplane.database.tripwire import drop_slot
from migrations_app.dataplane.process import Check
from migrations_app.errors import PermanentError, TransientError

Key = tuple[bytes, ...]
"""The values of a table's key columns, as their types' output functions word them."""

KeyColumns = Mapping[Table, tuple[str, ...]]
"""Of the tables that are asked about; empty for one whose rows cannot be told apart."""

SLOT = "^portal_[0-9a-f]{16}(_watch|_check)?$"
"""Names of the slots that moves make: of a stream, and those beside it, by which both sides are compared."""

_BATCH_CHANGES = 10_000

# Text would come as bytes in a session without an encoding.
_NUMBER = "({} - '0/0'::pg_lsn)::int8"
_EMITTED = "pg_logical_emit_message(true, 'portal', '')"


@dataclass
class Touched:
    """`whole`: tables that were truncated, or whose rows cannot be told apart. `lsn`: up to where this is all that was
    committed. `complete`: nothing that was visible before is missing; else there is more to read."""

    keys: dict[Table, set[Key]] = field(default_factory=lambda: defaultdict(set))
    whole: set[Table] = field(default_factory=set)
    lsn: str = ""
    complete: bool = False

    def add(self, change: Change, key_columns: KeyColumns) -> None:
        table, columns = change.table, key_columns.get(change.table)
        if columns is None or table in self.whole:
            return
        # A new row leaves out what is toasted and did not change; then the old one came with it.
        rows_ = [change.rows[0], {**change.rows[0], **change.rows[-1]}] if columns and change.rows else []
        if rows_ and all(column in row for column in columns for row in rows_):
            self.keys[table] |= {tuple(row[column] for column in columns) for row in rows_}
        else:
            self.whole.add(table)
            self.keys.pop(table, None)

    def add_all(self, later: Touched) -> None:
        self.whole |= later.whole
        for table, keys in later.keys.items():
            self.keys[table] |= keys
        self.lsn, self.complete = later.lsn, later.complete


def stream_of(slot: str) -> str:
    """Name of the stream that the slot is of or beside."""
    return slot.removesuffix("_watch").removesuffix("_check")


def create(primary: Cluster, name: str, *, patience_seconds: int, check: Check) -> str:
    """Make the slot, anew if there is one by the name. Returns the position from where on it has every commit.

    Errors: TransientError `database_57014` when write transactions of the cluster last longer than the patience.
    """
    drop_slot(primary, name, check=check)
    with primary.connect() as connection:
        value(connection, "SELECT set_config('statement_timeout', %s, false)", f"{patience_seconds}s")
        return value(connection, "SELECT lsn::text FROM pg_create_logical_replication_slot(%s, 'pgoutput')", name)


def is_usable(connection: psycopg.Connection[Any], name: str) -> bool:
    """The slot is there and has lost nothing."""
    return bool(value(connection, "SELECT wal_status <> 'lost' FROM pg_replication_slots WHERE slot_name = %s", name))


def prepare(connection: psycopg.Connection[Any]) -> None:
    """Make a session fit for read()."""
    # Its own commit is to flush what others committed without waiting for the disk.
    connection.execute("SET synchronous_commit = local")
    if value(connection, "SELECT getdatabaseencoding()") == "SQL_ASCII":
        # Else bytes that are no UTF-8 would be refused.
        connection.execute("SET client_encoding = SQL_ASCII")


def read(
    connection: psycopg.Connection[Any],
    name: str,
    publication: str,
    key_columns: KeyColumns,
    *,
    check: Check,
    everything: bool = False,
    after: str = "",
) -> Touched:
    """What was touched between the slot's position and now, or the beginning of it if that is much; `everything` at
    once. `after`: leave out what was committed before."""
    found, decoder, messages = Touched(), Decoder(), 0
    # A commit of our own flushes what others committed without waiting for the disk. Its message ends where a record
    # does; the end of what is flushed may lie within a commit, which would be passed over.
    end = value(connection, f"SELECT {_NUMBER.format(_EMITTED)}")
    first = number(after) if after else 0
    with connection.cursor(binary=True) as cursor:
        for lsn, message in cursor.stream(
            f"SELECT {_NUMBER.format('lsn')}, data FROM pg_logical_slot_peek_binary_changes("  # noqa: S608
            "%s, NULL, %s, 'proto_version', '1', 'publication_names', %s)",
            [name, None if everything else _BATCH_CHANGES, sql.Identifier(publication).as_string()],
        ):
            if (committed := decoder.committed(message)) is not None:
                is_old = committed < first
            for change in decoder.changes(message):
                if not is_old:
                    found.add(change, key_columns)
            messages += 1
            if messages % 1000 == 0:
                check()
            if message[:1] == b"C":
                found.lsn = worded(lsn)
    if everything or messages < _BATCH_CHANGES:
        found.lsn, found.complete = worded(end), True
    return found


def await_applied(
    connection: psycopg.Connection[Any], stream: str, lsn: str, *, deadline_seconds: float, check: Check
) -> None:
    """Wait until the stream's reader has applied everything up to `lsn`; `connection` is one to the primary.

    Errors: PermanentError `slot_missing`; TransientError `stream_stuck` past the deadline.
    """
    give_up_at = time.monotonic() + deadline_seconds
    while True:
        confirmed = is_confirmed(connection, stream, lsn)
        if confirmed is None:
            raise PermanentError(f"The stream's slot {stream} is gone.", code="slot_missing")
        if confirmed:
            return
        if time.monotonic() > give_up_at:
            raise TransientError(
                f"The stream {stream} has not carried everything up to {lsn} within {deadline_seconds:.0f} s.",
                hint="The PostgreSQL log of the replica's region says what stops the subscription.",
                code="stream_stuck",
            )
        check()
        time.sleep(0.01)

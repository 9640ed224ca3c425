"""How far pg_dump and pg_restore are: a session beside them asks the server they work at, about once a second.

Bytes are those of the tables and, for a restore, of their indexes, as large as they are at the source: the text that is
copied has another size, so what is done of a table is the share of its rows. Rows of a restore are counted by the
server; of a dump, once a table is through, they are its estimate.

A copy never fails for want of figures: where asking fails, it is asked again later.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

import psycopg

from migrations_app.dataplane import runner
from migrations_app.dataplane.database import sessions
from migrations_app.dataplane.database.connection import Cluster, value
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.dataplane.database.stream import briefly
from migrations_app.errors import LeaseLost, StepError
from migrations_app.progress import State, TableProgress, Tell

_PAUSE_SECONDS = 1.0
_SHARE_OF_TIME = 20
"""Between two looks passes at least this many times what a look takes: with very many tables they get rarer."""
_END_SECONDS = 2.0

_BEGUN = re.compile(r'(?:dumping contents of|processing data for) table "(.*)"$')

# A b-tree first reads the table's blocks, then loads what it has sorted; the other kinds only read.
_TABLES = """
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN (SELECT indrelid, count(*) AS built FROM pg_index WHERE indisvalid GROUP BY indrelid) i
    ON i.indrelid = c.oid
  LEFT JOIN (SELECT relid, sum(CASE WHEN tuples_total > 0 THEN 0.5 + 0.5 * tuples_done / tuples_total
                                    ELSE 0.5 * blocks_done / greatest(blocks_total, 1) END)::float AS share
               FROM pg_stat_progress_create_index WHERE datname = current_database() GROUP BY relid) x
    ON x.relid = c.oid
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.oid >= 16384
   AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname NOT IN ('information_schema', %(sentinel)s)
   AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.deptype = 'e')
"""

_SIZES = (
    "SELECT n.nspname || '.' || c.relname, coalesce(pg_table_size(c.oid), 0), coalesce(pg_indexes_size(c.oid), 0), "
    "greatest(c.reltuples, pg_stat_get_live_tuples(c.oid), 0)::bigint, coalesce(i.built, 0)" + _TABLES
)

_RESTORED = (
    "SELECT n.nspname || '.' || c.relname, pg_stat_get_tuples_inserted(c.oid), coalesce(i.built, 0), x.share" + _TABLES
)

_COPIES = """
SELECT n.nspname || '.' || c.relname, p.tuples_processed, p.bytes_processed
  FROM pg_stat_progress_copy p JOIN pg_stat_activity a ON a.pid = p.pid
  JOIN pg_class c ON c.oid = p.relid JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE p.datname = current_database() AND a.application_name = %(session)s
"""

_OTHERS = """
SELECT count(*) FROM pg_stat_activity
 WHERE datname = current_database() AND application_name = %s AND pid <> pg_backend_pid() AND pid <> ALL (%s)
"""


@dataclass(frozen=True)
class _Size:
    """Of a table at the source: bytes, and rows as its statistics have them."""

    data: int
    index: int
    rows: int
    indexes: int


def dumping(source: Cluster, tell: Tell) -> Copying:
    """For dump.dump(): tells bytes and rows read."""
    return Copying(source, source, tell, restoring=False)


def restoring(source: Cluster, dest: Cluster, tell: Tell) -> Copying:
    """For dump.restore(): tells bytes and rows restored, indexes included."""
    return Copying(source, dest, tell, restoring=True)


class Copying:
    """One run of pg_dump or pg_restore, followed while it lasts; at its end, if that is good, all is told as done."""

    def __init__(self, source: Cluster, at: Cluster, tell: Tell, *, restoring: bool) -> None:
        self._source, self._at, self._tell, self._restoring = source, at, tell, restoring
        self._sizes: dict[str, _Size] = {}
        self._begun: set[str] = set()
        self._begun_before: frozenset[str] = frozenset()
        self._rows: dict[str, int] = {}
        self._found: dict[str, TableProgress] = {}
        self._told = self._found
        self._stop = threading.Event()
        self._ended_well = False
        self._thread = threading.Thread(target=self._ask, name="copy-progress", daemon=True)

    def __enter__(self) -> Copying:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended_well = kind is None
        self._stop.set()
        self._thread.join(_END_SECONDS)
        if self._ended_well and self._found:
            self._pass_on({name: replace(t, done=t.total, state="done") for name, t in self._found.items()})

    def on_line(self, line: str) -> None:
        """Takes what the tool prints."""
        if found := _BEGUN.search(line):
            self._begun.add(found[1])

    def beside(self, check: Callable[[], None]) -> Callable[[], None]:
        """`check`, and what is new told in the same thread."""

        def check_and_tell() -> None:
            check()
            found = self._found
            if found is not self._told:
                self._told = found
                self._pass_on(found)

        return check_and_tell

    def _pass_on(self, tables: dict[str, TableProgress]) -> None:
        self._tell(
            sum(table.done for table in tables.values()),
            sum(table.total for table in tables.values()),
            "bytes",
            rows=sum(table.rows for table in tables.values()),
            tables=tables,
        )

    # -- in a thread of its own: a server that does not answer holds nobody up ------------------------------------

    def _ask(self) -> None:
        while not self._stop.is_set():
            try:
                self._read_sizes()
                with briefly(self._at) as connection:
                    self._look_until_stopped(connection)
            except StepError:
                self._stop.wait(_PAUSE_SECONDS)
            except LeaseLost:
                return

    def _read_sizes(self) -> None:
        if not self._sizes:
            with briefly(self._source) as connection:
                found = connection.execute(_SIZES, {"sentinel": SENTINEL_SCHEMA}).fetchall()
            self._sizes = {
                name: _Size(data, index if self._restoring else 0, count, indexes if self._restoring else 0)
                for name, data, index, count, indexes in found
            }

    def _look_until_stopped(self, connection: psycopg.Connection[Any]) -> None:
        """The last look is when everything has ended."""
        while True:
            stopped, began = self._stop.is_set(), time.monotonic()
            if stopped and self._ended_well:
                self._begun_before = frozenset(self._sizes)
                self._await_others(connection)
            self._look(connection)
            if stopped:
                return
            self._stop.wait(max(_PAUSE_SECONDS, _SHARE_OF_TIME * (time.monotonic() - began)))

    def _await_others(self, connection: psycopg.Connection[Any]) -> None:
        """What a session has counted can be read once it is gone."""
        give_up_at = time.monotonic() + _END_SECONDS / 2
        while self._restoring and time.monotonic() < give_up_at:
            if not value(connection, _OTHERS, runner.session_name(), sessions.idle()):
                return
            time.sleep(0.01)

    def _look(self, connection: psycopg.Connection[Any]) -> None:
        begun = frozenset(self._begun)
        copies = {
            name: (tuples, size)
            for name, tuples, size in connection.execute(_COPIES, {"session": runner.session_name()}).fetchall()
        }
        restored: dict[str, tuple[int, int, float | None]] = {}
        if self._restoring:
            answer = connection.execute(_RESTORED, {"sentinel": SENTINEL_SCHEMA}).fetchall()
            restored = {name: (inserted, built, building) for name, inserted, built, building in answer}
        self._found = {
            name: self._table(name, size, copies.get(name), *restored.get(name, (size.rows, 0, None)))
            for name, size in self._sizes.items()
        }
        self._begun_before = begun

    def _table(
        self, name: str, size: _Size, copy: tuple[int, int] | None, counted: int, built: int, building: float | None
    ) -> TableProgress:
        state: State = "waiting"
        data = index = 0.0
        if copy:
            state, self._rows[name] = "copying", copy[0]
            data = min(1.0, copy[0] / size.rows if size.rows else copy[1] / max(size.data, 1))
        elif name in self._rows or name in self._begun_before:  # it has begun, and is not under way any more
            self._rows[name] = max(counted, self._rows.get(name, 0))
            data, index = 1.0, min(1.0, (built + (building or 0)) / size.indexes) if size.indexes else 1.0
            state = "done" if index == 1 else "indexing" if building is not None else "waiting"
        done = int(size.data * data) + int(size.index * index)
        if before := self._found.get(name):
            done = max(done, before.done)  # an index is not being built any more just before it can be seen
        return TableProgress(done=done, total=size.data + size.index, rows=self._rows.get(name, 0), state=state)

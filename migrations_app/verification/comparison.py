"""Compares the app's database on both sides. Nobody writes on either while it runs.

Per table the number of rows and an order-free hash over all of them; the schema; sequences; large objects; extensions;
the roles; the database's own properties. Counts alone would pass a wrong copy.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import sql

from migrations_app.dataplane.database import creation, dump, leftovers, roles
from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.dataplane.database.settings import is_flag
from migrations_app.dataplane.process import Check
from migrations_app.verification import schema
from migrations_app.verification.report import Report

Table = tuple[str, str]
Digest = tuple[int, int]
"""`(rows, sum of the rows' 64-bit hashes)`."""

_CANCEL_SECONDS = 5.0

_TABLES = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.oid >= 16384 AND n.nspname <> %s
   AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                    AND d.deptype = 'e')
 ORDER BY pg_relation_size(c.oid) DESC, 1, 2
"""


def compare(source: Cluster, dest: Cluster, *, jobs: int, check: Check, on_table: Callable[[int, int], None]) -> Report:
    """Compare everything. `on_table(done, total)` is called as tables finish, counting both sides."""
    began = time.monotonic()
    report = Report()
    sides = _Sides(source, dest)
    with sides.closing(), ThreadPoolExecutor(2 * jobs + 2) as pool:
        schemas = [
            pool.submit(dump.schema, side, check=sides.check, exclude_schema=SENTINEL_SCHEMA) for side in (source, dest)
        ]
        digests = _digest_both(sides, pool, jobs=jobs, check=check, on_table=on_table)
        _compare_properties(source, dest, report)
        _wait(schemas, check)
        _compare_schemas(source, dest, *(future.result() for future in schemas), report=report)
    at_source, at_dest = digests
    for table in sorted(at_source.keys() | at_dest.keys()):
        report.add("table", ".".join(table), _worded(at_source.get(table)), _worded(at_dest.get(table)))
    report.rows = sum(count for count, _ in at_source.values())
    report.seconds = time.monotonic() - began
    return report


def _worded(digest: Digest | None) -> str:
    return "missing" if digest is None else f"{digest[0]} rows, hash {digest[1]}"


class _Sides:
    """Both databases, the sessions open in them, and a way to end those when the comparison is interrupted."""

    def __init__(self, source: Cluster, dest: Cluster) -> None:
        self.source, self.dest = source, dest
        self.interrupted: BaseException | None = None
        self._sessions: list[psycopg.Connection[Any]] = []

    def check(self) -> None:
        """For the threads: ends them once the main thread was interrupted."""
        if self.interrupted is not None:
            raise self.interrupted

    @contextmanager
    def session(self, side: Cluster) -> Iterator[psycopg.Connection[Any]]:
        with side.connect() as connection:
            self._sessions.append(connection)
            self.check()
            yield connection

    @contextmanager
    def closing(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self.interrupted = error
            for connection in list(self._sessions):
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=_CANCEL_SECONDS)
            raise


def _digest_both(
    sides: _Sides, pool: ThreadPoolExecutor, *, jobs: int, check: Check, on_table: Callable[[int, int], None]
) -> tuple[dict[Table, Digest], dict[Table, Digest]]:
    listed = {}
    for side in (sides.source, sides.dest):
        with side.connect() as connection:
            listed[side] = [tuple(row) for row in rows(connection, _TABLES, SENTINEL_SCHEMA)]
    total = sum(map(len, listed.values()))
    done: dict[Cluster, dict[Table, Digest]] = {side: {} for side in listed}

    def digest_all(side: Cluster, tables: list[Table]) -> None:
        with sides.session(side) as connection:
            for table in tables:
                sides.check()
                done[side][table] = digest(connection, table)

    # Largest first, dealt out in turn, so that the groups take about as long.
    futures = [
        pool.submit(digest_all, side, group)
        for side, tables in listed.items()
        for n in range(jobs)
        if (group := tables[n::jobs])
    ]
    _wait(futures, check, lambda: on_table(sum(map(len, done.values())), total))
    return done[sides.source], done[sides.dest]


def _wait(futures: list[Future[Any]], check: Check, tick: Callable[[], None] = lambda: None) -> None:
    pending = set(futures)
    while pending:
        finished, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
        for future in finished:
            future.result()
        check()
        tick()


def digest(connection: psycopg.Connection[Any], table: Table) -> Digest:
    """Count and order-free hash of all rows of one table, without those of tables that inherit from it.

    Columns by name: a child's come in another order after a restore if its parents got some of them later.
    """
    name = sql.Identifier(*table)
    columns = rows(
        connection,
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped "
        'ORDER BY attname COLLATE "C"',
        name.as_string(connection),
    )
    row = connection.execute(
        sql.SQL(
            'SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text COLLATE "C", 0)::numeric), 0) FROM ONLY {}'
        ).format(sql.SQL(", ").join(sql.Identifier(column) for (column,) in columns), name)
    ).fetchone()
    assert row is not None  # noqa: S101 — an aggregate always has one row
    return row[0], int(row[1])


def _compare_schemas(source: Cluster, dest: Cluster, at_source: str, at_dest: str, *, report: Report) -> None:
    majors = []
    for side in (source, dest):
        with side.connect() as connection:
            majors.append(connection.info.server_version // 10000)
    left, right = schema.entries(at_source), schema.entries(at_dest)
    same_major = majors[0] == majors[1]
    report.add("schema", "objects", left.total(), right.total())
    for title in schema.differing(left, right, definitions=same_major):
        report.add("schema", title, "as at the source", "different or missing")


def _compare_properties(source: Cluster, dest: Cluster, report: Report) -> None:
    for name, (left, right) in {
        key: (at_source, at_dest)
        for (key, at_source), at_dest in zip(_definition(source).items(), _definition(dest).values(), strict=True)
    }.items():
        report.add("database", name, left, right)
    with source.connect() as at_source, dest.connect() as at_dest:
        needed = roles.needed_by_database(at_source, fenced=True)
        present = roles.existing(at_dest, [role.name for role in needed])
        for role in needed:
            other = present.get(role.name)
            differences = ["missing"] if other is None else role.differences(other)
            report.add("role", role.name, "", ", ".join(differences))
        left, right = leftovers.sequence_positions(at_source), leftovers.sequence_positions(at_dest)
        for key in sorted(left.keys() | right.keys()):
            report.add("sequence", ".".join(key), left.get(key), right.get(key))
        for kind, query in _QUERIES.items():
            report.add(kind, "all", value(at_source, query), value(at_dest, query))


_QUERIES = {
    "large objects": "SELECT count(*) || ', hash ' || coalesce(sum(hashtextextended(l::text, 0)::numeric), 0) "
    "FROM (" + leftovers.LARGE_OBJECTS + ") l",
    "extensions": "SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension",
    "populated materialised views": "SELECT string_agg(oid::regclass::text, ', ' ORDER BY oid::regclass::text "
    "COLLATE \"C\") FROM pg_class WHERE relkind = 'm' AND relispopulated",
}


def _definition(side: Cluster) -> dict[str, object]:
    """What has to be equal of the database itself; the fence and the stream's role are ours."""
    read = creation.read(side)
    return {
        "owner": read.owner,
        "encoding": read.encoding,
        "locale": (read.provider, read.collate, read.ctype, read.locale, read.icu_rules),
        "connection limit": read.connection_limit,
        "comment": read.comment,
        "grants": sorted(grant for grant in read.grants if not roles.is_of_a_stream(grant[0])),
        "settings": sorted((role or "", setting) for role, setting in read.settings if not is_flag(setting)),
    }

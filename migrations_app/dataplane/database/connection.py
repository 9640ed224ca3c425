"""Connections to the regions' clusters, and what their errors mean."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrations_app.dataplane import runner
from migrations_app.dataplane.database import sessions
from migrations_app.errors import PermanentError, StepError, TransientError

Query = str | sql.SQL | sql.Composed
"""Names in it are quoted by psycopg.sql, values are parameters."""

_FLAG = "default_transaction_read_only"

# Our own sessions are caught by the fence and by an app's own settings too, unless they say otherwise at start.
# `replica` keeps an app's event triggers and ordinary triggers from firing on what we do.
_SAFE = {
    "role": "none",
    "session_replication_role": "replica",
    "standard_conforming_strings": "on",
    "array_nulls": "on",
    "statement_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": "10s",
    "idle_in_transaction_session_timeout": "0",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_error_statement": "panic",
    "row_security": "off",
}
_SAFE_SINCE_17 = {"transaction_timeout": "0", "event_triggers": "off"}
# How values are worded, the same on both sides. Not for what computes values: a materialised view's dates are those
# of the database's own time zone.
_WORDING = {
    "search_path": "pg_catalog",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}


_versions: dict[str, int] = {}
"""Server version (like 180006) by connection string: some parameters of a session's start are not known to all."""

DROP_INTERRUPTED = -2
"""`datconnlimit` of a database that its DROP has left half removed."""

# A line that has gone dead without a word is noticed within half a minute.
_LINE = {
    "connect_timeout": 10,
    "tcp_user_timeout": 30_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
}

# SQLSTATE classes and codes that pass by themselves: connection trouble, resources, shutdown, locks, cancelled.
_TRANSIENT = ("08", "53", "57P", "40", "55P03", "55006", "57014")


@dataclass(frozen=True)
class Cluster:
    """One database in one region's cluster; `conninfo` carries no password."""

    region: str
    conninfo: str
    dbname: str
    from_regions: str

    def conninfo_for(self, dbname: str) -> str:
        return make_conninfo(self.conninfo, dbname=dbname)

    @property
    def maintenance(self) -> str:
        """The database that the region's own connection string names."""
        return str(conninfo_to_dict(self.conninfo).get("dbname") or "postgres")

    @property
    def target(self) -> str:
        """Connection string of the app's database, for pg_dump and its like."""
        return self._line_to(self.dbname)

    def _line_to(self, dbname: str) -> str:
        return make_conninfo("", **{**_LINE, **conninfo_to_dict(self.conninfo), "dbname": dbname})

    @property
    def server_version(self) -> int:
        """Like 180006."""
        if self.conninfo not in _versions:
            with explained(self.region), psycopg.connect(self._line_to(self.maintenance)) as connection:
                _versions[self.conninfo] = connection.info.server_version
        return _versions[self.conninfo]

    def session_options(self, *, wording: bool = True, fenced: bool = False) -> str:
        """What a session of ours says at its start, as PGOPTIONS takes it.

        Without `wording` it words and reads values as the database's own settings say. `fenced`: it is as read-only as
        a session of the app.
        """
        wanted = {
            **({} if fenced else {_FLAG: "off"}),
            **self.safe_settings(),
            **(_WORDING if wording else {}),
        }
        return " ".join(f"-c {name}={value}" for name, value in wanted.items())

    def safe_settings(self) -> dict[str, str]:
        """What keeps the app's own settings, triggers and time limits out of what we do in its database."""
        return {**_SAFE, **(_SAFE_SINCE_17 if self.server_version >= 170000 else {})}

    @contextmanager
    def connect(
        self, dbname: str | None = None, *, wording: bool = True, fenced: bool = False
    ) -> Iterator[psycopg.Connection[Any]]:
        """An autocommit session of the portal's role in the app's database, or in `dbname`; see session_options().

        Before a runner has its first session in a cluster, those of earlier runners of the same row are ended there.
        Errors of the server come out as TransientError or PermanentError that name the region; LeaseLost.
        """
        line = self._line_to(dbname or self.dbname)
        with explained(self.region):
            if not wording or fenced:  # these take the database's own settings as they are now
                with self._open(line, wording=wording, fenced=fenced) as connection:
                    yield connection
                return
            with sessions.taken((line, runner.session_name()), lambda: self._open(line)) as connection:
                runner.check()
                yield connection

    def _open(self, line: str, *, wording: bool = True, fenced: bool = False) -> psycopg.Connection[Any]:
        connection = psycopg.connect(
            line,
            autocommit=True,
            application_name=runner.session_name(),
            options=self.session_options(wording=wording, fenced=fenced),
            prepare_threshold=None,  # a session is used for long, and what a plan was made for changes meanwhile
            # Otherwise text comes as bytes from a database without an encoding (SQL_ASCII).
            client_encoding="UTF8",
        )
        try:
            runner.check()  # only now: a session that passes is there to be found by whoever takes over later
            _end_earlier_runners(connection, self)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def replication_session(self) -> Iterator[psycopg.Connection[Any]]:
        """A session that speaks the replication protocol in the app's database, for `connection.pgconn`: it takes
        simple queries only. Errors: as connect()."""
        with self.connect():  # whatever earlier runners left is ended first
            pass
        with explained(self.region):
            session = psycopg.connect(
                make_conninfo(self.target, replication="database"),
                autocommit=True,
                application_name=runner.session_name(),
                options=self.session_options() + " -c wal_sender_timeout=0",
            )
            with session:
                yield session

    @contextmanager
    def admin(self) -> Iterator[psycopg.Connection[Any]]:
        """A session in the database that the region's own connection string names."""
        with self.connect(self.maintenance) as connection:
            yield connection

    def exists(self) -> bool:
        """A database whose DROP was interrupted does not: nobody can enter it, and all one can do is drop it again."""
        there = "SELECT count(*) FROM pg_database WHERE datname = %s AND datconnlimit <> %s"
        with self.admin() as admin:
            return value(admin, there, self.dbname, DROP_INTERRUPTED) == 1


_ENDING_SECONDS = 30


def _end_earlier_runners(connection: psycopg.Connection[Any], cluster: Cluster) -> None:
    """A statement goes on in the server when its client is dead, or is stopped, or cannot be reached.

    Errors: TransientError `predecessor_left` when its sessions do not end.
    """
    run = runner.current()
    if run is None or cluster.conninfo in run.met:
        return
    ended: set[int] = set()
    give_up_at = time.monotonic() + _ENDING_SECONDS
    while pids := _sessions_before(connection, run):
        if time.monotonic() > give_up_at:
            raise TransientError(
                f"Sessions of an earlier runner do not end in {cluster.region}.", code="predecessor_left"
            )
        for pid in pids:
            value(connection, "SELECT pg_catalog.pg_terminate_backend(%s)", pid)
        ended.update(pids)
        time.sleep(0.02)
    if ended:
        run.note(f"Ended sessions that an earlier runner had left in {cluster.region}: {len(ended)}.")
    run.met.add(cluster.conninfo)


def _sessions_before(connection: psycopg.Connection[Any], run: runner.Runner) -> list[int]:
    # No operator, no function: the app's database may have its own of any name.
    found = rows(connection, "SELECT pid, usesysid, application_name FROM pg_catalog.pg_stat_activity")
    role = {pid: role for pid, role, _ in found}[connection.info.backend_pid]
    return [pid for pid, its_role, name in found if its_role == role and run.follows_session(name)]


@contextmanager
def explained(where: str) -> Iterator[None]:
    """Turn psycopg's errors into ours: passing or not, naming the region, never the statement's values."""
    try:
        yield
    except psycopg.Error as error:
        raise _as_step_error(where, error) from error


def _as_step_error(where: str, error: psycopg.Error) -> StepError:
    state = error.sqlstate or ""
    said = (error.diag.message_primary or str(error)).strip()
    reason = f"PostgreSQL in {where}: {said}"
    if state.startswith("28"):
        return PermanentError(
            reason, hint="Check the region's role and its line in the file PGPASSFILE names.", code="database_login"
        )
    if state.startswith(_TRANSIENT) or (not state and isinstance(error, psycopg.OperationalError)):
        if "no password supplied" in said or "authentication failed" in said:
            return PermanentError(
                reason, hint="Check the region's role and its line in the file PGPASSFILE names.", code="database_login"
            )
        return TransientError(reason, code="database_away" if not state else f"database_{state}")
    return PermanentError(reason, code=f"database_{state or 'error'}")


def is_away(error: StepError) -> bool:
    """The cluster was not to be reached, or let us not in."""
    return error.code in ("database_away", "database_login") or error.code.startswith(("database_08", "database_57P"))


def rows(connection: psycopg.Connection[Any], query: Query, *params: Any) -> list[Any]:
    return connection.execute(query, params or None).fetchall()


def value(connection: psycopg.Connection[Any], query: Query, *params: Any) -> Any:
    """First column of the first row, None when there is no row."""
    row = connection.execute(query, params or None).fetchone()
    return row[0] if row else None

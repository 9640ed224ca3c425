"""What stops writes in a database.

Soft: new sessions are read-only (`default_transaction_read_only`), old ones are gone. Sessions and transactions that
were open before the flag go on writing, and SET steps over it, so the flag alone is no fence: sessions that began
before it are ended, and transactions that write are waited out, then ended.

Hard: no role that is not a superuser may connect, and nobody is connected. Superusers cannot be kept out; the flag
stays on for them, and what they write all the same is seen by the tripwire (tripwire.py).

Sessions of the portal are told apart by their role and application_name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg import sql

from migrations_app.dataplane.database import grants, settings
from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.dataplane.database.roles import STREAM_ROLE, is_of_a_stream
from migrations_app.dataplane.database.settings import FLAG
from migrations_app.dataplane.process import Check
from migrations_app.dataplane.runner import SESSION
from migrations_app.errors import PermanentError, TransientError

_TRUE = ("on", "true", "yes", "1", "t", "y")

_QUIET_SECONDS = 0.1

_SESSIONS = """
    FROM pg_stat_activity
   WHERE datname = %s AND backend_type = 'client backend' AND pid <> pg_backend_pid()
     AND (split_part(application_name, ' ', 1), usename::text) IS DISTINCT FROM (%s, current_user::text)
"""


_IDLE_OR_NOT = (
    "SELECT pid, state = 'idle' AND backend_xid IS NULL "
    "AND state_change <= clock_timestamp() - make_interval(secs => %s)" + _SESSIONS
)
# One that was busy a moment ago does not count as idle: it is between two statements of a request. But for one that is
# never idle for so long nobody waits while writes are blocked.
_IDLE_SECONDS = 0.01
_SOON_SECONDS = 0.1
_BEGAN_BEFORE = " AND backend_start <= %s"
# Also who stepped over the flag and holds a transaction id.
_POSSIBLE_WRITERS = " AND (backend_start <= %s OR backend_xid IS NOT NULL)"

_STARTING = """
SELECT l.pid FROM pg_locks l JOIN pg_database d ON d.oid = l.objid
 WHERE d.datname = %s AND l.locktype = 'object' AND l.classid = 'pg_database'::regclass AND l.pid <> pg_backend_pid()
"""
_STARTING_SECONDS = 5


@dataclass(frozen=True)
class Settled:
    """How the soft fence came to hold: sessions ended while idle, and those ended in the middle of a transaction."""

    ended_idle: int
    ended_busy: int


# -- soft ---------------------------------------------------------------------------------------------------------


def read_flag(cluster: Cluster) -> list[list[str | None]]:
    """Every setting of the flag that holds in this database, as `[role or None, value]`, also those made for a role
    in all databases, which would step over the database's own."""
    with cluster.admin() as admin:
        found: list[list[str | None]] = [
            [role, setting.partition("=")[2]]
            for role, setting in settings.of_database(admin, cluster.dbname)
            if setting.startswith(FLAG + "=")
        ]
    return found


def raise_flag(cluster: Cluster) -> datetime:
    """New sessions are read-only from the returned time (the cluster's clock) on."""
    with cluster.admin() as admin:
        settings.apply(admin, f"{FLAG}=on", dbname=cluster.dbname)
        for role in _roles_that_step_over(admin, cluster.dbname):
            settings.apply(admin, f"{FLAG}=on", role=role, dbname=cluster.dbname)
        return value(admin, "SELECT clock_timestamp()")


def _roles_that_step_over(admin: psycopg.Connection[Any], dbname: str) -> list[str]:
    """Roles with a setting of their own, for all databases or for this one: theirs wins over the database's."""
    found = rows(
        admin,
        """SELECT DISTINCT r.rolname
             FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS c
            WHERE (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = %s))
              AND starts_with(c, 'default_transaction_read_only=')""",
        dbname,
    )
    return [row[0] for row in found]


def lower_flag(cluster: Cluster, original: list[list[str | None]]) -> None:
    """Put the flag back to what it was before raise_flag()."""
    with cluster.admin() as admin:
        if not value(admin, "SELECT count(*) FROM pg_database WHERE datname = %s", cluster.dbname):
            return
        with admin.transaction():
            for role, setting in settings.of_database(admin, cluster.dbname):
                if setting.startswith(FLAG + "="):
                    settings.reset(admin, FLAG, role=role, dbname=cluster.dbname)
            for role, text in original:
                settings.apply(admin, f"{FLAG}={text}", role=role, dbname=cluster.dbname)


def await_short_writers(cluster: Cluster, *, longer_than: float, patience_seconds: float, check: Check) -> bool:
    """Wait, before any fence, until no transaction that writes has been open for `longer_than` seconds: settle() would
    wait for it while writes are blocked. False when that takes longer than the patience."""
    give_up_at = time.monotonic() + patience_seconds
    long = _SESSIONS + " AND backend_xid IS NOT NULL AND xact_start < clock_timestamp() - make_interval(secs => %s)"
    with cluster.admin() as admin:
        while value(admin, f"SELECT count(*) {long}", cluster.dbname, SESSION, longer_than):
            if time.monotonic() > give_up_at:
                return False
            check()
            time.sleep(0.05)
    return True


def settle(cluster: Cluster, flagged_at: datetime, *, grace_seconds: float, check: Check) -> Settled:
    """Wait until nobody is left who can write: end idle sessions older than the flag, give open transactions
    `grace_seconds`, then end those too.

    Errors: PermanentError `prepared_transaction`; TransientError `writers_left` if sessions do not go.
    """
    give_up_at = time.monotonic() + grace_seconds
    with cluster.admin() as admin:
        while prepared := _prepared(admin, cluster.dbname):
            if time.monotonic() > give_up_at:
                raise PermanentError(
                    f"Prepared transactions hold {cluster.dbname} open: {', '.join(prepared)}.",
                    hint="COMMIT PREPARED or ROLLBACK PREPARED each of them, then request the move again.",
                    code="prepared_transaction",
                )
            check()
            time.sleep(0.02)
    return _end_sessions(cluster, _POSSIBLE_WRITERS, flagged_at, grace_seconds=grace_seconds, check=check)


def _end_sessions(
    cluster: Cluster, which: str, began_before: datetime, *, grace_seconds: float, check: Check
) -> Settled:
    """End sessions while they are idle, and past the grace also those that are not, until none of `which` is left."""
    began = time.monotonic()
    give_up_at = began + grace_seconds
    ended_idle = ended_busy = 0
    with cluster.admin() as admin:
        _await_starting_sessions(admin, cluster.dbname, check)
        while True:
            idle_for = _IDLE_SECONDS if time.monotonic() - began < _SOON_SECONDS else 0.0
            sessions = rows(admin, _IDLE_OR_NOT + which, idle_for, cluster.dbname, SESSION, began_before)
            if not sessions:
                return Settled(ended_idle, ended_busy)
            out_of_patience = time.monotonic() > give_up_at
            for pid, idle in sessions:
                if idle or out_of_patience:
                    value(admin, "SELECT pg_terminate_backend(%s)", pid)
                    ended_idle, ended_busy = ended_idle + idle, ended_busy + (not idle)
            if time.monotonic() > give_up_at + 30:
                raise TransientError(
                    f"{len(sessions)} sessions in {cluster.dbname} at {cluster.region} do not end.", code="writers_left"
                )
            check()
            time.sleep(0.005)


def _prepared(admin: psycopg.Connection[Any], dbname: str) -> list[str]:
    return [row[0] for row in rows(admin, "SELECT gid FROM pg_prepared_xacts WHERE database = %s", dbname)]


def _await_starting_sessions(admin: psycopg.Connection[Any], dbname: str, check: Check) -> None:
    """Wait for sessions that read their settings and their right to connect before we changed them, and that
    pg_stat_activity does not show in the database yet: they hold its start-up lock."""
    starting = {row[0] for row in rows(admin, _STARTING, dbname)}
    give_up_at = time.monotonic() + _STARTING_SECONDS
    while starting and time.monotonic() < give_up_at:
        check()
        time.sleep(0.01)
        starting &= {row[0] for row in rows(admin, _STARTING, dbname)}


def end_read_only_sessions(cluster: Cluster, *, grace_seconds: float, check: Check) -> int:
    """After the flag is down: end the sessions that began under it, for they would stay read-only. Returns how many."""
    with cluster.admin() as admin:
        now = value(admin, "SELECT clock_timestamp()")
    settled = _end_sessions(cluster, _BEGAN_BEFORE, now, grace_seconds=grace_seconds, check=check)
    return settled.ended_idle + settled.ended_busy


# -- hard ---------------------------------------------------------------------------------------------------------


def read_connect_grants(cluster: Cluster) -> list[list[Any]]:
    """Who may connect, as `[grantee ('' is PUBLIC), with grant option, who granted it]`, without our streams' roles."""
    with cluster.admin() as admin:
        found = grants.read(
            admin,
            "SELECT coalesce(datacl, acldefault('d', datdba)) FROM pg_database WHERE datname = %s",
            cluster.dbname,
        )
    return sorted(
        [grant.grantee, grant.grantable, grant.grantor]
        for grant in found
        if grant.privilege == "CONNECT" and not is_of_a_stream(grant.grantee)
    )


def await_quiet(cluster: Cluster, *, grace_seconds: float, check: Check) -> bool:
    """Wait until no session has done anything for a tenth of a second; False when that takes longer than the grace.

    For requests that were let in before their traffic was moved away.
    """
    give_up_at = time.monotonic() + grace_seconds
    quiet_since = time.monotonic()
    with cluster.admin() as admin:
        while time.monotonic() - quiet_since < _QUIET_SECONDS:
            if value(admin, f"SELECT count(*) {_SESSIONS} AND state <> 'idle'", cluster.dbname, SESSION):
                quiet_since = time.monotonic()
            if time.monotonic() > give_up_at:
                return False
            check()
            time.sleep(0.01)
    return True


def shut(cluster: Cluster, *, check: Check) -> int:
    """Raise the hard fence: revoke CONNECT from every role and end every session. Returns how many were ended.

    Errors: PermanentError `still_open` if a role that is no superuser may still connect.
    """
    name = sql.Identifier(cluster.dbname)
    grantees = read_connect_grants(cluster)
    with cluster.admin() as admin:
        with admin.transaction():
            for grantee, *_ in grantees:
                admin.execute(
                    sql.SQL("REVOKE CONNECT ON DATABASE {} FROM {} CASCADE").format(name, grants.role(grantee))
                )
        still = rows(
            admin,
            "SELECT rolname FROM pg_roles WHERE rolcanlogin AND NOT rolsuper "
            "AND rolname !~ %s AND has_database_privilege(oid, %s, 'CONNECT') ORDER BY 1",
            STREAM_ROLE,
            cluster.dbname,
        )
        if still:
            raise PermanentError(
                f"Roles can still connect to {cluster.dbname}: {', '.join(row[0] for row in still)}.",
                hint="Revoke the CONNECT they were granted by another role than the owner.",
                code="still_open",
            )
    return end_every_session(cluster, check=check)


def end_every_session(cluster: Cluster, *, check: Check) -> int:
    """End every session but the portal's. Returns how many.

    Errors: TransientError `writers_left` if sessions do not go within 30 seconds.
    """
    ended: set[int] = set()
    give_up_at = time.monotonic() + 30
    with cluster.admin() as admin:
        _await_starting_sessions(admin, cluster.dbname, check)
        while pids := [row[0] for row in rows(admin, f"SELECT pid {_SESSIONS}", cluster.dbname, SESSION)]:
            for pid in pids:
                value(admin, "SELECT pg_terminate_backend(%s)", pid)
                ended.add(pid)
            if time.monotonic() > give_up_at:
                raise TransientError(f"{len(pids)} sessions in {cluster.dbname} do not end.", code="writers_left")
            check()
            time.sleep(0.02)
    return len(ended)


def open_up(cluster: Cluster, connect: list[list[Any]]) -> None:
    """Take the hard fence down: give CONNECT back to those who had it, as read_connect_grants() found them."""
    with cluster.admin() as admin:
        owner = value(admin, "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s", cluster.dbname)
        if owner is None:
            return
        wanted = [grants.Grant(grantee, "CONNECT", grantable, grantor) for grantee, grantable, grantor in connect]
        with admin.transaction():
            grants.give(
                admin,
                sql.SQL("DATABASE {}").format(sql.Identifier(cluster.dbname)),
                owner=owner,
                wanted=wanted,
            )


def prove_writable(cluster: Cluster, flag: list[list[str | None]] | None = None) -> None:
    """Open a session that takes the database's settings as they are, and write: a temporary table, rolled back.

    `flag` is what lower_flag() put back: a database whose own settings make it read-only is written to all the same.
    Errors: PermanentError (`database_25006`) when the session is read-only.
    """
    read_only_of_its_own = any(role is None and (text or "").lower() in _TRUE for role, text in flag or [])
    with cluster.connect(fenced=True) as connection, connection.transaction(force_rollback=True):
        if read_only_of_its_own:
            connection.execute("SET TRANSACTION READ WRITE")
        connection.execute("CREATE TEMPORARY TABLE portal_write_proof (n int)")

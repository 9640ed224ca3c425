"""The roles an app's database needs: found at the source, made at the destination with the same password verifier.

A role belongs to the cluster, not to the dump. What is looked up: every role the database or an object in it names
(owners, grantees, settings), whoever is a member of those, and the groups all these are members of. Verifiers go from
cluster to cluster in memory only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from migrations_app.dataplane.database import settings
from migrations_app.dataplane.database.connection import rows, value
from migrations_app.errors import PermanentError

STREAM_ROLE = "^portal_[0-9a-f]{16}$"
"""Names of the roles that replication.py makes, one for each stream."""

_NEEDED = """
WITH RECURSIVE named AS (
    SELECT refobjid AS roleid FROM pg_shdepend
     WHERE refclassid = 'pg_authid'::regclass
       AND (dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
            OR (classid = 'pg_database'::regclass
                AND objid = (SELECT oid FROM pg_database WHERE datname = current_database())))
    UNION SELECT datdba FROM pg_database WHERE datname = current_database()
    UNION SELECT setrole FROM pg_db_role_setting
           WHERE setrole <> 0 AND setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
), with_members AS (
    SELECT roleid FROM named
    UNION
    SELECT m.member FROM pg_auth_members m JOIN with_members w ON w.roleid = m.roleid WHERE w.roleid >= 16384
), needed AS (
    SELECT roleid FROM with_members
    UNION
    SELECT m.roleid FROM pg_auth_members m JOIN needed n ON n.roleid = m.member
)
SELECT r.oid, r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication,
       r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text, a.rolpassword
  FROM needed n JOIN pg_roles r ON r.oid = n.roleid JOIN pg_authid a ON a.oid = r.oid
 WHERE r.oid >= 16384 AND r.rolname <> current_user AND r.rolname !~ %s
 ORDER BY r.rolname
"""

_ATTRIBUTES = {
    "rolinherit": "INHERIT",
    "rolcreaterole": "CREATEROLE",
    "rolcreatedb": "CREATEDB",
    "rolcanlogin": "LOGIN",
    "rolreplication": "REPLICATION",
    "rolbypassrls": "BYPASSRLS",
}


@dataclass(frozen=True)
class Membership:
    group: str
    admin: bool
    inherit: bool
    set: bool


@dataclass(frozen=True)
class Role:
    """One role as its cluster defines it. `verifier` is a secret; it stays out of repr and comparisons' messages."""

    name: str
    superuser: bool
    attributes: frozenset[str]
    connection_limit: int
    valid_until: str | None
    verifier: str | None = field(repr=False)
    settings: frozenset[str]
    memberships: frozenset[Membership]

    def differences(self, other: Role) -> list[str]:
        """Which parts differ, by name. A superuser belongs to its cluster: it only has to be there."""
        if self.superuser and other.superuser:
            return []
        parts = {
            "superuser": self.superuser != other.superuser,
            "attributes": self.attributes != other.attributes,
            "connection limit": self.connection_limit != other.connection_limit,
            "expiry": self.valid_until != other.valid_until,
            "password": self.verifier != other.verifier,
            "settings": self.settings != other.settings,
            "memberships": bool(self.memberships - other.memberships),
        }
        return [part for part, differs in parts.items() if differs]


def needed_by_database(connection: psycopg.Connection[Any]) -> list[Role]:
    """The roles that the connected database needs, without the portal's own and PostgreSQL's built-in ones."""
    return _read(connection, _NEEDED, STREAM_ROLE)


def existing(connection: psycopg.Connection[Any], names: list[str]) -> dict[str, Role]:
    query = """SELECT r.oid, r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
                      r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text, a.rolpassword
                 FROM pg_roles r JOIN pg_authid a ON a.oid = r.oid WHERE r.rolname = ANY(%s)"""
    return {role.name: role for role in _read(connection, query, names)}


def _read(connection: psycopg.Connection[Any], query: Any, *params: Any) -> list[Role]:
    cursor = connection.execute(query, params or None)
    names = [column.name for column in cursor.description or ()]
    return [_role(connection, dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _role(connection: psycopg.Connection[Any], row: dict[str, Any]) -> Role:
    # Options of a membership came with 16; before, a member inherits as its role says and may always SET ROLE.
    options = (
        "m.inherit_option, m.set_option"
        if connection.info.server_version >= 160000
        else "(SELECT rolinherit FROM pg_roles WHERE oid = m.member), true"
    )
    memberships = connection.execute(
        f"SELECT g.rolname, m.admin_option, {options} FROM pg_auth_members m "  # noqa: S608
        "JOIN pg_roles g ON g.oid = m.roleid WHERE m.member = %s",
        [row["oid"]],
    ).fetchall()
    return Role(
        name=row["rolname"],
        superuser=row["rolsuper"],
        attributes=frozenset(word for column, word in _ATTRIBUTES.items() if row[column]),
        connection_limit=row["rolconnlimit"],
        valid_until=row["rolvaliduntil"],
        verifier=row["rolpassword"],
        settings=frozenset(settings.of_role(connection, row["rolname"])),
        memberships=frozenset(Membership(*membership) for membership in memberships),
    )


def is_of_a_stream(name: str) -> bool:
    return re.match(STREAM_ROLE, name) is not None


def conflicts(needed: list[Role], present: dict[str, Role]) -> list[str]:
    """What forbids using or making these roles at the destination, a sentence each."""
    found = []
    for role in needed:
        other = present.get(role.name)
        if other is None and role.superuser:
            found.append(f"Role {role.name} is a superuser and is missing at the destination.")
        elif other is not None and (differing := role.differences(other)):
            found.append(f"Role {role.name} exists at the destination with another {', '.join(differing)}.")
    return found


def create(connection: psycopg.Connection[Any], role: Role) -> None:
    """Make the role unless it is there; its memberships come later, when all roles are."""
    if value(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", role.name):
        return
    words = [word if word in role.attributes else f"NO{word}" for word in _ATTRIBUTES.values()]
    statement = sql.SQL("CREATE ROLE {} WITH {} CONNECTION LIMIT {}").format(
        sql.Identifier(role.name),
        sql.SQL(" ").join(map(sql.SQL, words)),  # the words are this module's own
        sql.Literal(role.connection_limit),
    )
    if role.valid_until:
        statement += sql.SQL(" VALID UNTIL {}").format(sql.Literal(role.valid_until))
    if role.verifier:
        statement += sql.SQL(" PASSWORD {}").format(sql.Literal(role.verifier))
    with connection.transaction():
        connection.execute(statement)
        for setting in role.settings:
            settings.apply(connection, setting, role=role.name)


def grant_memberships(connection: psycopg.Connection[Any], role: Role) -> None:
    for membership in role.memberships:
        statement = sql.SQL("GRANT {} TO {}").format(sql.Identifier(membership.group), sql.Identifier(role.name))
        if connection.info.server_version >= 160000:
            statement += sql.SQL(" WITH ADMIN {}, INHERIT {}, SET {}").format(
                *(sql.SQL("TRUE" if on else "FALSE") for on in (membership.admin, membership.inherit, membership.set))
            )
        elif membership.admin:
            statement += sql.SQL(" WITH ADMIN OPTION")
        connection.execute(statement)


def drop(connection: psycopg.Connection[Any], name: str) -> bool:
    """Drop the role if nothing in the cluster needs it; False if something does."""
    if not value(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", name):
        return True
    needed = rows(
        connection,
        "SELECT 1 FROM pg_shdepend WHERE refclassid = 'pg_authid'::regclass AND refobjid = "
        "(SELECT oid FROM pg_roles WHERE rolname = %s) AND classid <> 'pg_auth_members'::regclass LIMIT 1",
        name,
    )
    if needed:
        return False
    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))
    return True


def refuse_conflicts(needed: list[Role], present: dict[str, Role]) -> None:
    if found := conflicts(needed, present):
        raise PermanentError(
            " ".join(found),
            hint="Make them equal, or rename or drop the ones at the destination; then request the move again.",
            code="role_conflict",
        )

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
             AND EXISTS (SELECT 1 FROM unnest(setconfig) c
                          WHERE NOT (%s AND starts_with(c, 'default_transaction_read_only=')))
), with_members AS (
    SELECT roleid FROM named
    UNION
    SELECT m.member FROM pg_auth_members m JOIN with_members w ON w.roleid = m.roleid WHERE w.roleid >= 16384
), needed AS (
    SELECT roleid FROM with_members
    UNION
    SELECT unnest(ARRAY[m.roleid, m.grantor]) FROM pg_auth_members m JOIN needed n ON n.roleid = m.member
)
SELECT {columns}
  FROM needed n JOIN pg_roles r ON r.oid = n.roleid JOIN pg_authid a ON a.oid = r.oid
 WHERE r.oid >= 16384 AND r.rolname <> current_user AND r.rolname !~ %s
 ORDER BY r.rolname
"""

_COLUMNS = """r.oid, r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin,
       r.rolreplication, r.rolbypassrls, r.rolconnlimit, r.rolvaliduntil::text, a.rolpassword,
       shobj_description(r.oid, 'pg_authid') AS comment"""

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
    grantor: str
    """Empty for a superuser: those are the cluster's own."""

    @property
    def effect(self) -> tuple[str, bool, bool, bool]:
        """What it means for the member, whoever granted it."""
        return self.group, self.admin, self.inherit, self.set


@dataclass(frozen=True)
class Role:
    """One role as its cluster defines it. `verifier` is a secret; it stays out of repr and comparisons' messages."""

    name: str
    superuser: bool
    attributes: frozenset[str]
    connection_limit: int
    valid_until: str | None
    verifier: str | None = field(repr=False)
    comment: str | None
    settings: frozenset[str]
    memberships: frozenset[Membership]
    parameters: frozenset[tuple[str, str, bool]]
    """`(parameter, SET or ALTER SYSTEM, with grant option)` it was granted."""

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
            "memberships": bool(self._effects - other._effects),
            "rights on parameters": bool(self.parameters - other.parameters),
        }
        return [part for part, differs in parts.items() if differs]

    @property
    def _effects(self) -> set[tuple[str, bool, bool, bool]]:
        return {membership.effect for membership in self.memberships}


def needed_by_database(connection: psycopg.Connection[Any], *, fenced: bool = False) -> list[Role]:
    """The roles that the connected database needs, without the portal's own and PostgreSQL's built-in ones.

    Who granted memberships to others comes before those. `fenced`: the soft fence is up; it makes settings for roles
    in the database that have nothing to do with it.
    """
    roles = {role.name: role for role in _read(connection, _NEEDED.format(columns=_COLUMNS), fenced, STREAM_ROLE)}
    ordered: dict[str, Role] = {}

    def put(role: Role, above: frozenset[str]) -> None:
        for grantor in sorted({membership.grantor for membership in role.memberships}):
            if grantor in roles and grantor not in above:
                put(roles[grantor], above | {role.name})
        ordered.setdefault(role.name, role)

    for role in roles.values():
        put(role, frozenset({role.name}))
    return list(ordered.values())


def existing(connection: psycopg.Connection[Any], names: list[str]) -> dict[str, Role]:
    query = "SELECT {columns} FROM pg_roles r JOIN pg_authid a ON a.oid = r.oid WHERE r.rolname = ANY(%s)"
    return {role.name: role for role in _read(connection, query.format(columns=_COLUMNS), names)}


def _read(connection: psycopg.Connection[Any], query: Any, *params: Any) -> list[Role]:
    cursor = connection.execute(query, params or None)
    names = [column.name for column in cursor.description or ()]
    return [_role(connection, dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _role(connection: psycopg.Connection[Any], row: dict[str, Any]) -> Role:
    # Options of a membership came with 16; before, a member inherits as its role says and may always SET ROLE.
    # Nor did earlier versions keep a grantor that counts.
    options = (
        "m.inherit_option, m.set_option, CASE WHEN b.rolsuper THEN '' ELSE b.rolname END"
        if connection.info.server_version >= 160000
        else "(SELECT rolinherit FROM pg_roles WHERE oid = m.member), true, ''"
    )
    memberships = connection.execute(
        f"SELECT g.rolname, m.admin_option, {options} FROM pg_auth_members m "  # noqa: S608
        "JOIN pg_roles g ON g.oid = m.roleid LEFT JOIN pg_roles b ON b.oid = m.grantor WHERE m.member = %s",
        [row["oid"]],
    ).fetchall()
    return Role(
        name=row["rolname"],
        superuser=row["rolsuper"],
        attributes=frozenset(word for column, word in _ATTRIBUTES.items() if row[column]),
        connection_limit=row["rolconnlimit"],
        valid_until=row["rolvaliduntil"],
        verifier=row["rolpassword"],
        comment=row["comment"],
        settings=frozenset(settings.of_role(connection, row["rolname"])),
        memberships=frozenset(Membership(*membership) for membership in memberships),
        parameters=frozenset(_parameters(connection, row["oid"])),
    )


def _parameters(connection: psycopg.Connection[Any], oid: int) -> list[tuple[str, str, bool]]:
    if connection.info.server_version < 150000:
        return []
    query = """SELECT parname, privilege_type, is_grantable FROM pg_parameter_acl, aclexplode(paracl)
                WHERE grantee = %s"""
    return [tuple(row) for row in rows(connection, query, oid)]


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
        if role.comment is not None:
            comment = sql.SQL("COMMENT ON ROLE {} IS {}")
            connection.execute(comment.format(sql.Identifier(role.name), sql.Literal(role.comment)))
        for setting in role.settings:
            settings.apply(connection, setting, role=role.name)
        for name, privilege, grantable in role.parameters:
            grant = sql.SQL("GRANT {} ON PARAMETER {} TO {}").format(
                sql.SQL(privilege), settings.parameter(name), sql.Identifier(role.name)
            )
            connection.execute(grant + sql.SQL(" WITH GRANT OPTION") if grantable else grant)


def grant_memberships(connection: psycopg.Connection[Any], role: Role) -> None:
    """Of the roles that needed_by_database() lists, in its order."""
    for membership in sorted(role.memberships, key=lambda membership: (membership.grantor != "", membership.group)):
        statement = sql.SQL("GRANT {} TO {}").format(sql.Identifier(membership.group), sql.Identifier(role.name))
        if connection.info.server_version >= 160000:
            statement += sql.SQL(" WITH ADMIN {}, INHERIT {}, SET {}").format(
                *(sql.SQL("TRUE" if on else "FALSE") for on in (membership.admin, membership.inherit, membership.set))
            )
        elif membership.admin:
            statement += sql.SQL(" WITH ADMIN OPTION")
        if membership.grantor and _may_grant(connection, membership):
            statement += sql.SQL(" GRANTED BY {}").format(sql.Identifier(membership.grantor))
        connection.execute(statement)


def _may_grant(connection: psycopg.Connection[Any], membership: Membership) -> bool:
    """Two roles that granted to each other: one of the grants is the portal's then."""
    return bool(
        value(
            connection,
            "SELECT count(*) FROM pg_roles r WHERE r.rolname = %s "
            "AND pg_has_role(r.oid, (SELECT g.oid FROM pg_roles g WHERE g.rolname = %s), 'USAGE WITH ADMIN OPTION')",
            membership.grantor,
            membership.group,
        )
    )


# Itself, its members and theirs, and the groups of all these: whoever needs one of them may need the role.
_NEEDED_BY_SOMETHING = """
WITH RECURSIVE members AS (
    SELECT oid AS roleid FROM pg_roles WHERE rolname = %s
    UNION
    SELECT m.member FROM pg_auth_members m JOIN members r ON r.roleid = m.roleid
), related AS (
    SELECT roleid FROM members
    UNION
    SELECT m.roleid FROM pg_auth_members m JOIN related r ON r.roleid = m.member WHERE m.roleid >= 16384 AND %s
)
SELECT EXISTS (SELECT 1 FROM pg_shdepend d JOIN related r ON r.roleid = d.refobjid
                WHERE d.refclassid = 'pg_authid'::regclass
                  AND d.classid::regclass::text NOT IN ('pg_auth_members', 'pg_parameter_acl'))
    OR EXISTS (SELECT 1 FROM pg_db_role_setting s JOIN related r ON r.roleid = s.setrole, unnest(s.setconfig) c
                WHERE s.setdatabase <> 0 AND NOT starts_with(c, 'default_transaction_read_only='))
"""


def is_idle(connection: psycopg.Connection[Any], name: str) -> bool:
    """The role is there, and drop() would drop it."""
    there = value(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", name) == 1
    return there and not value(connection, _NEEDED_BY_SOMETHING, name, True)


def drop(connection: psycopg.Connection[Any], name: str, *, made_just_now: bool = False) -> bool:
    """Drop the role if nothing in the cluster needs it; False if something does.

    A login may own nothing and have no grant of its own, and yet be what an app logs in as: it is needed as long as
    something needs a group it is in. Not so when it was `made_just_now`: nobody has come to rely on it yet.
    """
    if not value(connection, "SELECT count(*) FROM pg_roles WHERE rolname = %s", name):
        return True
    if value(connection, _NEEDED_BY_SOMETHING, name, not made_just_now):
        return False
    role = sql.Identifier(name)
    with connection.transaction():
        for parameter, _, _ in existing(connection, [name])[name].parameters:
            revoke = sql.SQL("REVOKE ALL ON PARAMETER {} FROM {} CASCADE")
            connection.execute(revoke.format(settings.parameter(parameter), role))
        if connection.info.server_version >= 160000:
            for group, member in rows(
                connection,
                "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members m "
                "JOIN pg_roles b ON b.oid = m.grantor WHERE b.rolname = %s",
                name,
            ):
                revoke = sql.SQL("REVOKE {} FROM {} GRANTED BY {} CASCADE")
                connection.execute(revoke.format(sql.SQL(group), sql.SQL(member), role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))
    return True


def refuse_conflicts(needed: list[Role], present: dict[str, Role]) -> None:
    if found := conflicts(needed, present):
        raise PermanentError(
            " ".join(found),
            hint="Make them equal, or rename or drop the ones at the destination; then request the move again.",
            code="role_conflict",
        )

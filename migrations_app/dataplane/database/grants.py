"""Grants on one object, read and given again, each by the role that gave it."""

from __future__ import annotations

from typing import Any, NamedTuple

import psycopg
from psycopg import sql

from migrations_app.dataplane.database.connection import rows


class Grant(NamedTuple):
    """One privilege one role has from another; the grantee PUBLIC is an empty string."""

    grantee: str
    privilege: str
    grantable: bool
    grantor: str


def read(connection: psycopg.Connection[Any], acl: str, *params: Any) -> list[Grant]:
    """What the query `acl` (it yields one aclitem[]) grants, in the order it was granted."""
    exploded = f"""
        SELECT CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable,
               pg_get_userbyid(a.grantor)
          FROM ({acl}) AS o(acl), aclexplode(o.acl) a"""  # noqa: S608 — the callers' own words
    return [Grant(*row) for row in rows(connection, exploded, *params)]


def replace(
    connection: psycopg.Connection[Any], kind: sql.Composable, *, owner: str, was: list[Grant], wanted: list[Grant]
) -> None:
    """Make the grants on the object `kind` (like `DATABASE "x"`) `wanted` instead of `was`, in one transaction."""
    with connection.transaction():
        for grantee, privilege in dict.fromkeys((grant.grantee, grant.privilege) for grant in was):
            connection.execute(
                sql.SQL("REVOKE {} ON {} FROM {} CASCADE").format(sql.SQL(privilege), kind, role(grantee))
            )
        give(connection, kind, owner=owner, wanted=wanted)


def give(connection: psycopg.Connection[Any], kind: sql.Composable, *, owner: str, wanted: list[Grant]) -> None:
    """Grant `wanted`, what a grantee passed on after what it was given. In the caller's transaction."""
    given: set[tuple[str, str]] = set()
    pending = list(dict.fromkeys(wanted))
    while pending:
        ready = [grant for grant in pending if grant.grantor == owner or (grant.grantor, grant.privilege) in given]
        # A grantor that has lost its right since: the owner gives in its place.
        for grant in ready or pending:
            statement = sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(grant.privilege), kind, role(grant.grantee))
            if grant.grantable:
                statement += sql.SQL(" WITH GRANT OPTION")
                given.add((grant.grantee, grant.privilege))
            if ready and grant.grantor != owner:
                connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(grant.grantor)))
            connection.execute(statement)
            connection.execute("SET LOCAL ROLE none")
        pending = [grant for grant in pending if grant not in ready] if ready else []


def role(grantee: str) -> sql.Composable:
    return sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")

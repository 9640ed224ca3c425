"""What to do about each kind: the command, with the logins where the field's own tools find them, never in it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from psycopg import sql

from migrations_app.dataplane import blobs
from migrations_app.dataplane.database.inventory import StreamPart
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.dataplane.database.settings import FLAG
from migrations_app.models import App, Region
from migrations_app.move import cluster
from migrations_app.orphans.books import Field

_WRITABLE = f"SET {FLAG} = off"
"""A fence may be up in the database."""


def stream_part(region: Region, part: StreamPart) -> str:
    name = sql.Identifier(part.name)
    if part.kind == "slot":
        end = "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = {} AND active"
        literal = sql.Literal(part.name)
        return _psql(region, "", _said(end, literal), _said("SELECT pg_drop_replication_slot({})", literal))
    if part.kind == "role":
        return _psql(region, "", _said("DROP OWNED BY {}", name), _said("DROP ROLE {}", name))
    if part.kind == "publication":
        return _psql(region, part.dbname, _WRITABLE, _said("DROP PUBLICATION {}", name))
    # Without its slot: that is on the books of another region, or gone.
    statements = "ALTER SUBSCRIPTION {} DISABLE", "ALTER SUBSCRIPTION {} SET (slot_name = NONE)", "DROP SUBSCRIPTION {}"
    return _psql(region, part.dbname, _WRITABLE, *(_said(statement, name) for statement in statements))


def schema(region: Region, dbname: str) -> str:
    return _psql(region, dbname, _WRITABLE, f"DROP SCHEMA {SENTINEL_SCHEMA} CASCADE")


def fence(
    region: Region,
    dbname: str,
    *,
    flags: list[list[str | None]],
    flags_before: list[list[str | None]],
    connect: list[list[Any]],
) -> str:
    """Put back what there was before the move; sessions that are open stay read-only."""
    database = sql.Identifier(dbname)
    statements = [
        _said("{} RESET {}", _target(database, role), sql.Identifier(FLAG))
        for role, text in flags
        if [role, text] not in flags_before
    ]
    statements += [
        _said("{} SET {} = {}", _target(database, role), sql.Identifier(FLAG), sql.Literal(text))
        for role, text in flags_before
        if flags and [role, text] not in flags
    ]
    for grantee, grantable, _ in connect:
        who = sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")
        statements.append(
            _said("GRANT CONNECT ON DATABASE {} TO {}", database, who) + (" WITH GRANT OPTION" if grantable else "")
        )
    return _psql(region, "", *statements) + " Then restart what is connected: open sessions keep what they began with."


def _target(database: sql.Composable, role: str | None) -> sql.Composable:
    if role is None:
        return sql.SQL("ALTER DATABASE {}").format(database)
    return sql.SQL("ALTER ROLE {} IN DATABASE {}").format(sql.Identifier(role), database)


_LOOK_FIRST = "Make sure that nobody has put it to use since. "


def _database(region: Region, name: str) -> str:
    return _LOOK_FIRST + _psql(region, "", _said("DROP DATABASE {} WITH (FORCE)", sql.Identifier(name)))


def _bucket(region: Region, name: str) -> str:
    return _LOOK_FIRST + _run(["rclone", "purge", "--", blobs.join(region.blobs, name)])


def _program(region: Region, name: str) -> str:
    definition, release = (blobs.join(region.runtime_path, file) for file in (f"{name}.conf", name))
    return (
        _LOOK_FIRST
        + _run(["rclone", "deletefile", "--", definition], ["rclone", "purge", "--", release])
        + f" Then, on the host that answers at {region.runtime_url}: `supervisorctl update {name}`."
    )


THING: dict[Field, Callable[[Region, str], str]] = {"database": _database, "blobs": _bucket, "program": _program}


def remove_route(url: str, slug: str) -> str:
    return _edge(f"edge.remove({url!r}, {slug!r})")


def set_route(url: str, app: App) -> str:
    wanted = f"edge.Route({app.hostname!r}, {app.upstream_in(app.region)!r})"
    return _edge(f"edge.apply({url!r}, {app.slug!r}, {wanted})")


def _edge(call: str) -> str:
    """Not by curl: beside a move that changes routes too, Caddy's /id/ leads to another app's (dataplane/edge.py)."""
    code = f"from migrations_app.dataplane import edge; {call}"
    return _run(["python", "manage.py", "shell", "-v", "0", "-c", code])


def folder(path: Path) -> str:
    return _run(["rm", "-r", "--", str(path)])


def process(pid: int) -> str:
    return _run(["kill", "-9", str(pid)])


def role(region: Region, name: str) -> str:
    return _LOOK_FIRST + _psql(region, "", _said("DROP ROLE {}", sql.Identifier(name)))


def _said(statement: str, *names: sql.Composable) -> str:
    return sql.SQL(statement).format(*names).as_string()


def _psql(region: Region, dbname: str, *statements: str) -> str:
    """Each statement by itself: some refuse to run in one transaction with others."""
    at = cluster(region, dbname)
    connected = ["psql", "-X", at.conninfo_for(dbname) if dbname else at.conninfo]
    return _run([*connected, *(word for statement in statements for word in ("-c", statement))])


def _run(*commands: list[str]) -> str:
    return f"Run `{' && '.join(shlex.join(command) for command in commands)}`."

"""ALTER DATABASE … SET, ALTER ROLE … SET: read, applied, taken away."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from migrations_app.dataplane.database.connection import rows, value

FLAG = "default_transaction_read_only"
"""The soft fence is made of this one; see fence.py."""

# Parameters that hold a list of quoted names; as one string literal they would be quoted once more.
_LISTS = frozenset({"search_path", "temp_tablespaces", "session_preload_libraries", "local_preload_libraries"})


def of_database(connection: psycopg.Connection[Any], dbname: str) -> list[tuple[str | None, str]]:
    """`(role or None, "name=value")` for every setting of the database."""
    return [
        tuple(row)
        for row in rows(
            connection,
            """SELECT r.rolname, unnest(s.setconfig) FROM pg_db_role_setting s
                 JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole
                WHERE d.datname = %s ORDER BY 1 NULLS FIRST, 2""",
            dbname,
        )
    ]


def is_flag(setting: str) -> bool:
    return setting.startswith(FLAG + "=")


def of_role(connection: psycopg.Connection[Any], role: str) -> list[str]:
    """`"name=value"` for every setting of the role that holds in all databases."""
    return [
        row[0]
        for row in rows(
            connection,
            """SELECT unnest(s.setconfig) FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole
                WHERE s.setdatabase = 0 AND r.rolname = %s ORDER BY 1""",
            role,
        )
    ]


def apply(
    connection: psycopg.Connection[Any], setting: str, *, role: str | None = None, dbname: str | None = None
) -> None:
    """Apply one "name=value" to the role, the database, or the role in the database."""
    name, _, text = setting.partition("=")
    target = _target(role, dbname)
    names = _split_names(text)
    if name in _LISTS and not _is_as_postgresql_words_it(connection, names, text):
        # It came from SET … FROM CURRENT, which keeps the words of whoever set it.
        with connection.transaction():
            value(connection, "SELECT set_config(%s, %s, true)", name, text)
            connection.execute(sql.SQL("{} SET {} FROM CURRENT").format(target, parameter(name)))
        return
    values = sql.SQL(", ").join(map(sql.Literal, names)) if name in _LISTS else sql.Literal(text)
    connection.execute(sql.SQL("{} SET {} = {}").format(target, parameter(name), values))


def _is_as_postgresql_words_it(connection: psycopg.Connection[Any], names: list[str], text: str) -> bool:
    query = "SELECT string_agg(quote_ident(n), ', ' ORDER BY i) FROM unnest(%s::text[]) WITH ORDINALITY AS u(n, i)"
    return value(connection, query, names) == text


def reset(
    connection: psycopg.Connection[Any], name: str, *, role: str | None = None, dbname: str | None = None
) -> None:
    connection.execute(sql.SQL("{} RESET {}").format(_target(role, dbname), parameter(name)))


def parameter(name: str) -> sql.Identifier:
    """The parameter as SQL names it; those of extensions and apps have a dot."""
    return sql.Identifier(*name.split("."))


def _target(role: str | None, dbname: str | None) -> sql.Composable:
    if role is None:
        return sql.SQL("ALTER DATABASE {}").format(sql.Identifier(dbname or ""))
    statement: sql.Composable = sql.SQL("ALTER ROLE {}").format(sql.Identifier(role))
    if dbname is not None:
        statement += sql.SQL(" IN DATABASE {}").format(sql.Identifier(dbname))
    return statement


def _split_names(text: str) -> list[str]:
    """Split `"$user", public` into its names, as PostgreSQL's SplitIdentifierString does."""
    names: list[str] = []
    current, quoted, position = "", False, 0
    while position < len(text):
        character = text[position]
        if character == '"' and quoted and text[position + 1 : position + 2] == '"':
            current += '"'
            position += 1
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            names.append(current)
            current = ""
        elif quoted or not character.isspace():
            current += character
        position += 1
    return [*names, current]

"""Queries whose text comes back as it is stored, whatever the database's encoding."""

from __future__ import annotations

import re
from typing import Any

import psycopg

Tree = dict[str, Any]

EXPLODED = """ARRAY(
    SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END || ' ' || a.privilege_type
           || CASE WHEN a.is_grantable THEN ' with grant option' ELSE '' END || ' by ' || pg_get_userbyid(a.grantor)
      FROM aclexplode({acl}) a ORDER BY 1)"""
"""An aclitem[] in words, sorted."""


def fetch(connection: psycopg.Connection[Any], query: str) -> list[tuple[Any, ...]]:
    return [tuple(map(worded, row)) for row in connection.execute(raw(query)).fetchall()]


def dicts(connection: psycopg.Connection[Any], query: str) -> list[Tree]:
    cursor = connection.execute(raw(query))
    names = [column.name for column in cursor.description or ()]
    return [dict(zip(names, map(worded, row), strict=True)) for row in cursor.fetchall()]


def one(connection: psycopg.Connection[Any], query: str) -> Tree:
    (row,) = dicts(connection, query)
    return row


def pairs(connection: psycopg.Connection[Any], query: str) -> Tree:
    found = fetch(connection, query)
    tree = {str(key): value for key, value in found}
    assert len(tree) == len(found), f"two rows of one name in {query}"
    return tree


def worded(value: Any) -> Any:
    """Text comes as bytes: the session converts nothing, whatever the database's encoding is."""
    if isinstance(value, bytes):
        text = value.decode("utf-8", "surrogateescape")
        # PostgreSQL words `x IN ('a', 'b')` on a varchar with other brackets and casts once it was restored.
        return re.sub(r"::text(\[\])?|[()]", "", text) if "(ARRAY[" in text or "ARRAY[(" in text else text
    if isinstance(value, list):
        return [worded(entry) for entry in value]
    return value


def raw(query: str) -> bytes:
    return query.encode("utf-8", "surrogateescape")


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""An empty database at the destination, like the one at the source in all that a dump does not carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from migrations_app.dataplane.database import settings
from migrations_app.dataplane.database.connection import Cluster, rows, value


@dataclass(frozen=True)
class Definition:
    """What `CREATE DATABASE` and `ALTER DATABASE` need to know."""

    owner: str
    encoding: str
    provider: str
    collate: str
    ctype: str
    locale: str | None
    icu_rules: str | None
    connection_limit: int
    comment: str | None
    grants: frozenset[tuple[str, str, bool]]
    has_default_grants: bool
    settings: frozenset[tuple[str | None, str]]
    has_public_schema: bool
    has_plpgsql: bool


def read(cluster: Cluster) -> Definition:
    with cluster.connect() as connection:
        version = connection.info.server_version
        locale = "datlocale" if version >= 170000 else "daticulocale" if version >= 150000 else "NULL"
        rules = "daticurules" if version >= 160000 else "NULL"
        provider = "datlocprovider" if version >= 150000 else "'c'"
        row = connection.execute(
            f"""SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), {provider}, datcollate, datctype, {locale},
                       {rules}, datconnlimit, shobj_description(oid, 'pg_database'), datacl IS NULL,
                       (SELECT count(*) FROM pg_namespace WHERE nspname = 'public') > 0,
                       (SELECT count(*) FROM pg_extension WHERE extname = 'plpgsql') > 0
                  FROM pg_database WHERE datname = current_database()"""  # noqa: S608
        ).fetchone()
        assert row is not None  # noqa: S101 — the connected database is in pg_database
        return Definition(
            owner=row[0],
            encoding=row[1],
            provider=row[2].decode() if isinstance(row[2], bytes) else row[2],
            collate=row[3],
            ctype=row[4],
            locale=row[5],
            icu_rules=row[6],
            connection_limit=row[7],
            comment=row[8],
            grants=frozenset(_grants(connection, cluster.dbname)),
            has_default_grants=row[9],
            settings=frozenset(settings.of_database(connection, cluster.dbname)),
            has_public_schema=row[10],
            has_plpgsql=row[11],
        )


def _grants(connection: psycopg.Connection[Any], dbname: str) -> list[tuple[str, str, bool]]:
    """`(grantee, privilege, with grant option)` on the database; the grantee PUBLIC is an empty string."""
    return [
        tuple(row)
        for row in rows(
            connection,
            """SELECT CASE WHEN grantee = 0 THEN '' ELSE pg_get_userbyid(grantee) END, privilege_type, is_grantable
                 FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname = %s""",
            dbname,
        )
    ]


def create(cluster: Cluster, definition: Definition) -> None:
    """Create the empty database, shut to writers: new sessions in it are read-only until the fence is lifted."""
    name = sql.Identifier(cluster.dbname)
    statement = sql.SQL(
        "CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {} CONNECTION LIMIT {}"
    ).format(
        name,
        sql.Identifier(definition.owner),
        sql.Literal(definition.encoding),
        sql.Literal(definition.collate),
        sql.Literal(definition.ctype),
        sql.Literal(definition.connection_limit),
    )
    if definition.provider == "i":
        statement += sql.SQL(" LOCALE_PROVIDER icu ICU_LOCALE {}").format(sql.Literal(definition.locale))
        if definition.icu_rules:
            statement += sql.SQL(" ICU_RULES {}").format(sql.Literal(definition.icu_rules))
    elif definition.provider == "b":
        statement += sql.SQL(" LOCALE_PROVIDER builtin BUILTIN_LOCALE {}").format(sql.Literal(definition.locale))
    with cluster.admin() as admin:
        admin.execute(statement)
        if definition.comment:
            admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(definition.comment)))
        if not definition.has_default_grants:
            _apply_grants(admin, cluster.dbname, definition.grants)
        for role, setting in definition.settings:
            settings.apply(admin, setting, role=role, dbname=cluster.dbname)
    with cluster.connect() as connection:
        if not definition.has_public_schema:
            connection.execute("DROP SCHEMA IF EXISTS public")
        if not definition.has_plpgsql:
            connection.execute("DROP EXTENSION IF EXISTS plpgsql")


def _apply_grants(admin: psycopg.Connection[Any], dbname: str, grants: frozenset[tuple[str, str, bool]]) -> None:
    name = sql.Identifier(dbname)
    with admin.transaction():
        for grantee, privilege, _ in _grants(admin, dbname):
            admin.execute(sql.SQL("REVOKE {} ON DATABASE {} FROM {}").format(sql.SQL(privilege), name, role(grantee)))
        for grantee, privilege, grantable in grants:
            grant = sql.SQL("GRANT {} ON DATABASE {} TO {}").format(sql.SQL(privilege), name, role(grantee))
            admin.execute(grant + sql.SQL(" WITH GRANT OPTION") if grantable else grant)


def role(grantee: str) -> sql.Composable:
    return sql.Identifier(grantee) if grantee else sql.SQL("PUBLIC")


def drop(cluster: Cluster) -> bool:
    """Drop the database with whoever is in it; False if it was not there. Its subscriptions have to be gone."""
    with cluster.admin() as admin:
        there = value(admin, "SELECT count(*) FROM pg_database WHERE datname = %s", cluster.dbname) == 1
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(cluster.dbname)))
    return there


def size_bytes(cluster: Cluster) -> int:
    with cluster.admin() as admin:
        return value(admin, "SELECT pg_database_size(%s::name)", cluster.dbname) or 0


def is_empty(cluster: Cluster) -> bool:
    """No table, view, function or type of its own: nothing was restored into it yet."""
    with cluster.connect() as connection:
        return not value(
            connection,
            """SELECT EXISTS (SELECT 1 FROM pg_class WHERE oid >= 16384)
                   OR EXISTS (SELECT 1 FROM pg_proc WHERE oid >= 16384)
                   OR EXISTS (SELECT 1 FROM pg_type WHERE oid >= 16384)
                   OR EXISTS (SELECT 1 FROM pg_namespace WHERE oid >= 16384)
                   OR EXISTS (SELECT 1 FROM pg_largeobject_metadata)""",
        )

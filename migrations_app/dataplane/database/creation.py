"""An empty database at the destination, like the one at the source in all that a dump does not carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from migrations_app.dataplane.database import grants, settings
from migrations_app.dataplane.database.connection import DROP_INTERRUPTED, Cluster, rows, value
from migrations_app.dataplane.database.roles import is_of_a_stream


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
    is_template: bool
    comment: str | None
    grants: frozenset[grants.Grant]
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
            f"""SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding), {provider}, datcollate, datctype,
                       {locale}, {rules}, datconnlimit, datistemplate, shobj_description(oid, 'pg_database'),
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
            is_template=row[8],
            comment=row[9],
            grants=frozenset(
                grant for grant in grants.read(connection, _ACL, cluster.dbname) if not is_of_a_stream(grant.grantee)
            ),
            # Without those of the portal's own role: replication.py makes some where it applies a stream.
            settings=frozenset(
                (role, setting)
                for role, setting in settings.of_database(connection, cluster.dbname)
                if role != connection.info.user
            ),
            has_public_schema=row[10],
            has_plpgsql=row[11],
        )


_ACL = "SELECT coalesce(datacl, acldefault('d', datdba)) FROM pg_database WHERE datname = %s"


def create(cluster: Cluster, definition: Definition) -> None:
    """Create the empty database, shut to everybody until admit() is called: nobody writes before there is a fence."""
    name = sql.Identifier(cluster.dbname)
    statement = _statement(cluster, definition)
    with cluster.admin() as admin:
        admin.execute(statement)
        if definition.comment:
            admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(definition.comment)))
        grants.replace(
            admin,
            sql.SQL("DATABASE {}").format(name),
            owner=definition.owner,
            was=grants.read(admin, _ACL, cluster.dbname),
            wanted=sorted(definition.grants),
        )
        for role, setting in definition.settings:
            # The fence raises the flag, for roles that are not the app's too, and puts back what it was.
            if not settings.is_flag(setting):
                settings.apply(admin, setting, role=role, dbname=cluster.dbname)


def admit(cluster: Cluster, definition: Definition) -> None:
    """Let sessions into what create() made, and take away what the source does not have."""
    with cluster.admin() as admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(cluster.dbname)))
    with cluster.connect() as connection:
        if not definition.has_public_schema:
            connection.execute("DROP SCHEMA IF EXISTS public")
        if not definition.has_plpgsql:
            connection.execute("DROP EXTENSION IF EXISTS plpgsql")


def _statement(cluster: Cluster, definition: Definition) -> sql.Composed:
    statement = sql.SQL(
        "CREATE DATABASE {} TEMPLATE template0 OWNER {} ENCODING {} LC_COLLATE {} LC_CTYPE {} CONNECTION LIMIT {} "
        "ALLOW_CONNECTIONS false"
    ).format(
        sql.Identifier(cluster.dbname),
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
    elif cluster.server_version >= 150000:
        # Unsaid, it would be template0's.
        statement += sql.SQL(" LOCALE_PROVIDER libc")
    return statement + sql.SQL(" IS_TEMPLATE true") if definition.is_template else statement


def drop(cluster: Cluster) -> bool:
    """Drop the database with whoever is in it, and its subscriptions; False if it was not there.

    A slot that one of the app's own subscriptions read is left alone: it belongs to its publisher.
    """
    name = sql.Identifier(cluster.dbname)
    with cluster.admin() as admin:
        found = rows(
            admin,
            "SELECT datistemplate, datallowconn AND datconnlimit <> %s FROM pg_database WHERE datname = %s",
            DROP_INTERRUPTED,
            cluster.dbname,
        )
        if not found:
            return False
        is_template, takes_connections = found[0]
        if takes_connections:
            _drop_subscriptions(cluster)
        if is_template:
            admin.execute(sql.SQL("ALTER DATABASE {} IS_TEMPLATE false").format(name))
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))
    return True


def _drop_subscriptions(cluster: Cluster) -> None:
    """PostgreSQL refuses to drop a database that has any."""
    with cluster.connect() as connection:
        for (subscription,) in rows(
            connection,
            "SELECT subname FROM pg_subscription JOIN pg_database d ON d.oid = subdbid "
            "WHERE d.datname = current_database()",
        ):
            drop_subscription(connection, subscription)


def drop_subscription(connection: psycopg.Connection[Any], name: str) -> None:
    """Drop the subscription and leave its slot alone."""
    for statement in (
        "ALTER SUBSCRIPTION {} DISABLE",
        "ALTER SUBSCRIPTION {} SET (slot_name = NONE)",
        "DROP SUBSCRIPTION {}",
    ):
        connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


def size_bytes(cluster: Cluster) -> int:
    with cluster.admin() as admin:
        return value(admin, "SELECT pg_database_size(%s::name)", cluster.dbname) or 0


def is_empty(cluster: Cluster) -> bool:
    """It is open to sessions, and has no table, view, function or type of its own: nothing was restored into it yet."""
    with cluster.admin() as admin:
        if not value(admin, "SELECT datallowconn FROM pg_database WHERE datname = %s", cluster.dbname):
            return False
    with cluster.connect() as connection:
        return not value(
            connection,
            """SELECT EXISTS (SELECT 1 FROM pg_class WHERE oid >= 16384)
                   OR EXISTS (SELECT 1 FROM pg_proc WHERE oid >= 16384)
                   OR EXISTS (SELECT 1 FROM pg_type WHERE oid >= 16384)
                   OR EXISTS (SELECT 1 FROM pg_namespace WHERE oid >= 16384)
                   OR EXISTS (SELECT 1 FROM pg_largeobject_metadata)""",
        )

"""All that a database and its cluster are, as a tree of plain values: an independent witness to what a move did.

Nothing here uses the product. Every row of every catalog that describes an object is read; what it says by number
(OIDs, column numbers, expression trees) is put into words, so that two clusters can be compared.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.databases import catalogs
from tests.databases.reading import EXPLODED, Tree, dicts, fetch, literal, one, pairs, raw

_LONG_LINE = 160

_OPTIONS = {
    **dict.fromkeys(("statement_timeout", "transaction_timeout", "idle_session_timeout", "lock_timeout"), "0"),
    **dict.fromkeys(("default_transaction_read_only", "event_triggers", "quote_all_identifiers"), "off"),
    **dict.fromkeys(("standard_conforming_strings", "array_nulls"), "on"),
    "idle_in_transaction_session_timeout": "0",
    "role": "none",
    "search_path": "",
    "session_replication_role": "replica",
}
"""What a database's own settings must not decide here. Its time zone and the like stay, for materialised views."""


@dataclass(frozen=True)
class Place:
    """One database in one cluster; `conninfo` names a superuser, its password is in PGPASSFILE."""

    conninfo: str
    dbname: str

    def connect(self, dbname: str | None = None) -> psycopg.Connection[Any]:
        return psycopg.connect(
            self.conninfo,
            dbname=dbname or self.dbname,
            autocommit=True,
            application_name="tests-snapshot",
            options=" ".join(f"-c {name}={value}" for name, value in _OPTIONS.items()),
            client_encoding="SQL_ASCII",
        )


def database(place: Place, *, refreshed: bool = False) -> Tree:
    """The database with all in it. `refreshed`: materialised views as a refresh would make them now."""
    with place.connect() as connection:
        tree: Tree = {catalog: catalogs.read(connection, catalog) for catalog in catalogs.CATALOGS}
        tree["settings"] = _settings(
            connection, "s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())"
        )
        tree["database"] = one(connection, _DATABASE)
        tree["enums"] = pairs(connection, _ENUMS)
        tree["comments"] = pairs(connection, _COMMENTS)
        tree["built-in grants"] = pairs(connection, _BUILT_IN_GRANTS)
        tree["replica identity"] = pairs(connection, _IDENTITY)
        tree["sequences"] = {
            name: one(connection, f"SELECT last_value, is_called FROM {name}")
            for (name,) in fetch(
                connection, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S' AND oid >= 16384"
            )
        }
        tree["large objects"] = pairs(
            connection,
            "SELECT oid::text, length(lo_get(oid)) || ' bytes ' || md5(lo_get(oid)) FROM pg_largeobject_metadata",
        )
        views = _ordered_views(connection)
        with connection.transaction(force_rollback=True):
            if refreshed:
                for view in views:
                    connection.execute(raw(f"REFRESH MATERIALIZED VIEW {view}"))
            connection.execute(
                "SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = ISO; SET LOCAL intervalstyle = postgres; "
                "SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = hex; SET LOCAL row_security = off"
            )
            tree["rows"] = {name: _rows(connection, name) for name in _tables(connection)}
            tree["rows of views"] = {view: _rows(connection, view) for view in views}
    return tree


def cluster(place: Place) -> Tree:
    """What belongs to the cluster: roles, databases, slots, what the portal could have left."""
    with place.connect("postgres") as connection:
        return {
            "roles": {row["name"]: row for row in dicts(connection, _ROLES)},
            "memberships": pairs(connection, _MEMBERSHIPS),
            "role settings": _settings(connection, "s.setdatabase = 0"),
            "settings": _settings(connection, "s.setdatabase <> 0"),
            "parameters": pairs(
                connection, f"SELECT parname, {EXPLODED.format(acl='paracl')}::text FROM pg_parameter_acl"
            ),
            "databases": {row["name"]: row for row in dicts(connection, _DATABASES)},
            "slots": pairs(connection, "SELECT slot_name, database FROM pg_replication_slots"),
            "subscriptions": pairs(
                connection,
                "SELECT datname || '.' || subname, subenabled || ' ' || coalesce(subslotname, '') "
                "FROM pg_subscription JOIN pg_database d ON d.oid = subdbid",
            ),
            "origins": pairs(connection, "SELECT roname, '' FROM pg_replication_origin"),
            "prepared": pairs(connection, "SELECT gid, database FROM pg_prepared_xacts"),
        }


# -- rows -----------------------------------------------------------------------------------------------------------


def _tables(connection: psycopg.Connection[Any]) -> list[str]:
    return [
        row[0]
        for row in fetch(
            connection, "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND oid >= 16384 ORDER BY 1"
        )
    ]


def _rows(connection: psycopg.Connection[Any], name: str) -> list[str]:
    """Every row as COPY words it, columns by name, sorted; long ones by their checksum."""
    columns = [
        row[0]
        for row in fetch(
            connection,
            "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = "
            f'{literal(name)}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attname COLLATE "C"',
        )
    ]
    copied = bytearray()
    query = f"COPY (SELECT {', '.join(columns)} FROM ONLY {name}) TO STDOUT"
    with connection.cursor().copy(raw(query)) as copy:
        for block in copy:
            copied += block
    lines = bytes(copied).split(b"\n")[:-1]
    return sorted(
        line.decode("utf-8", "backslashreplace")
        if len(line) <= _LONG_LINE
        else f"{line[:40]!r} … {len(line)} bytes {hashlib.md5(line).hexdigest()}"  # noqa: S324 — no secret
        for line in lines
    )


def _ordered_views(connection: psycopg.Connection[Any]) -> list[str]:
    """Populated materialised views, each behind those it reads, through views or not."""
    return [
        row[0]
        for row in fetch(
            connection,
            """WITH RECURSIVE reads AS (
                 SELECT r.ev_class AS view, d.refobjid AS read FROM pg_rewrite r
                   JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> r.ev_class
               ), depth AS (
                 SELECT oid AS view, 0 AS n FROM pg_class WHERE relkind IN ('m', 'v') AND oid >= 16384
                 UNION SELECT r.view, n + 1 FROM depth JOIN reads r ON r.read = depth.view WHERE n < 50
               )
               SELECT c.oid::regclass::text FROM pg_class c JOIN depth ON depth.view = c.oid
                WHERE relkind = 'm' AND relispopulated GROUP BY c.oid ORDER BY max(n), 1""",
        )
    ]


# -- small queries --------------------------------------------------------------------------------------------------

_DATABASE = f"""
SELECT pg_get_userbyid(datdba) AS owner, pg_encoding_to_char(encoding) AS encoding, datlocprovider::text AS provider,
       datcollate, datctype, datlocale, daticurules, datcollversion, datistemplate, datallowconn, datconnlimit,
       shobj_description(oid, 'pg_database') AS comment,
       {EXPLODED.format(acl="coalesce(datacl, acldefault('d', datdba))")} AS grants
  FROM pg_database WHERE datname = current_database()"""

_DATABASES = f"""
SELECT datname AS name, pg_get_userbyid(datdba) AS owner, datistemplate, datallowconn, datconnlimit,
       shobj_description(oid, 'pg_database') AS comment,
       {EXPLODED.format(acl="coalesce(datacl, acldefault('d', datdba))")} AS grants
  FROM pg_database"""

_ROLES = """
SELECT rolname AS name, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls,
       rolconnlimit, rolvaliduntil::text, CASE rolname WHEN 'portal' THEN '' ELSE rolpassword END AS password,
       shobj_description(oid, 'pg_authid') AS comment
  FROM pg_authid"""

_MEMBERSHIPS = """
SELECT g.rolname || ' to ' || m.rolname || ' by ' || b.rolname,
       'admin ' || admin_option || ' inherit ' || inherit_option || ' set ' || set_option
  FROM pg_auth_members JOIN pg_roles g ON g.oid = roleid JOIN pg_roles m ON m.oid = member
  JOIN pg_roles b ON b.oid = grantor"""

_ENUMS = """
SELECT enumtypid::regtype::text, string_agg(enumlabel, ' | ' ORDER BY enumsortorder) FROM pg_enum GROUP BY 1"""

_COMMENTS = """
SELECT (SELECT type || ' ' || identity FROM pg_identify_object(classoid, objoid, objsubid)), description
  FROM pg_description WHERE objoid >= 16384 OR classoid IN ('pg_namespace'::regclass, 'pg_largeobject'::regclass)"""

_BUILT_IN_GRANTS = f"""
SELECT oid::regprocedure::text, {EXPLODED.format(acl="proacl")}::text FROM pg_proc
 WHERE oid < 16384 AND proacl IS NOT NULL
UNION ALL SELECT oid::regclass::text, {EXPLODED.format(acl="relacl")}::text FROM pg_class
 WHERE oid < 16384 AND relacl IS NOT NULL
UNION ALL SELECT oid::regtype::text, {EXPLODED.format(acl="typacl")}::text FROM pg_type
 WHERE oid < 16384 AND typacl IS NOT NULL"""

_IDENTITY = """
SELECT c.oid::regclass::text,
       -- of an index that is gone: none, as by default without a key
       CASE WHEN c.relreplident = 'i' AND i.indexrelid IS NULL THEN 'd' ELSE c.relreplident::text END
       || coalesce(' ' || i.indexrelid::regclass::text, '')
  FROM pg_class c LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisreplident
 WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384"""


def _settings(connection: psycopg.Connection[Any], where: str) -> Tree:
    return pairs(
        connection,
        "SELECT coalesce(d.datname, '') || '/' || coalesce(r.rolname, '') || '/' || split_part(c, '=', 1), c "
        "FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole "
        f"LEFT JOIN pg_database d ON d.oid = s.setdatabase, unnest(s.setconfig) c WHERE {where}",
    )

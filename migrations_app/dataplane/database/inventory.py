"""What there is in a region's cluster of all that moves make, whichever move it was. Only looks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg

from migrations_app.dataplane.database.connection import DROP_INTERRUPTED, Cluster, rows
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.dataplane.database.roles import STREAM_ROLE, is_idle
from migrations_app.dataplane.database.settings import FLAG
from migrations_app.dataplane.database.touched import SLOT
from migrations_app.errors import StepError

_GONE = "database_3D000"


@dataclass(frozen=True)
class StreamPart:
    """A role, slot, subscription or publication that is named as moves name theirs. A role is in no database."""

    kind: str
    name: str
    dbname: str


@dataclass(frozen=True)
class Access:
    """What a fence changes of a database: `flags` as fence.read_flag() words them; `is_shut`: no role but those of
    streams was granted CONNECT. `made_at`: when it was created, by the cluster's clock, where that can be told."""

    flags: list[list[str | None]]
    is_shut: bool
    made_at: datetime | None


@dataclass(frozen=True)
class Inventory:
    """`sentinels`: databases with the schema of proof.py. `idle_roles`: those that nothing needs.
    `unread`: databases that could not be looked into, and why."""

    parts: list[StreamPart]
    databases: dict[str, Access]
    sentinels: set[str]
    idle_roles: set[str]
    unread: dict[str, str]


def take(cluster: Cluster, of_apps: Collection[str], made: Collection[str]) -> Inventory:
    """Look at the cluster, at the roles that moves have `made` there, and into each of its databases; into templates
    only if they are `of_apps`.

    Errors: those of connection.explained() when the cluster does not answer.
    """
    with cluster.admin() as admin:
        idle = {name for name in made if is_idle(admin, name)}
        inventory = Inventory(_shared_parts(admin), _access(admin), set(), idle, {})
        names = [
            name
            for name, is_template in rows(
                admin,
                "SELECT datname, datistemplate FROM pg_database WHERE datallowconn AND datconnlimit <> %s ORDER BY 1",
                DROP_INTERRUPTED,
            )
            if not is_template or name in of_apps
        ]
    for name in names:
        try:
            _look_into(cluster, name, inventory)
        except StepError as error:
            if error.code != _GONE:
                inventory.unread[name] = str(error)
    return inventory


def _shared_parts(admin: psycopg.Connection[Any]) -> list[StreamPart]:
    found = rows(
        admin,
        """SELECT 'subscription', subname::text, datname::text
             FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE subname ~ %s
           UNION ALL
           SELECT 'slot', slot_name::text, coalesce(database::text, '') FROM pg_replication_slots WHERE slot_name ~ %s
           UNION ALL
           SELECT 'role', rolname::text, '' FROM pg_roles WHERE rolname ~ %s""",
        STREAM_ROLE,
        SLOT,
        STREAM_ROLE,
    )
    return [StreamPart(*row) for row in found]


def _access(admin: psycopg.Connection[Any]) -> dict[str, Access]:
    found = rows(
        admin,
        """SELECT d.datname, NOT EXISTS (
                   SELECT 1 FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
                     LEFT JOIN pg_roles r ON r.oid = a.grantee
                    WHERE a.privilege_type = 'CONNECT' AND coalesce(r.rolname, '') !~ %s),
                  -- CREATE DATABASE writes the file, and nothing changes it.
                  (pg_stat_file('base/' || d.oid || '/PG_VERSION', true)).modification
             FROM pg_database d""",
        STREAM_ROLE,
    )
    databases = {name: Access([], is_shut, made_at) for name, is_shut, made_at in found}
    flags = rows(
        admin,
        """SELECT d.datname, r.rolname, split_part(c, '=', 2)
             FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
             LEFT JOIN pg_roles r ON r.oid = s.setrole, unnest(s.setconfig) AS c
            WHERE starts_with(c, %s) ORDER BY 1, 2 NULLS FIRST""",
        FLAG + "=",
    )
    for name, role, text in flags:
        if name in databases:
            databases[name].flags.append([role, text])
    return databases


def _look_into(cluster: Cluster, name: str, inventory: Inventory) -> None:
    with cluster.connect(name) as connection:
        found = rows(
            connection,
            """SELECT 'publication', pubname::text FROM pg_publication WHERE pubname ~ %s
               UNION ALL SELECT 'schema', nspname::text FROM pg_namespace WHERE nspname = %s""",
            STREAM_ROLE,
            SENTINEL_SCHEMA,
        )
    for kind, found_name in found:
        if kind == "schema":
            inventory.sentinels.add(name)
        else:
            inventory.parts.append(StreamPart(kind, found_name, name))

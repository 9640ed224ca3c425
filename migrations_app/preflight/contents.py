"""What is in the database: counted, and what a move leaves behind or cannot take along."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from migrations_app.dataplane.database.connection import rows, value
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.dataplane.database.roles import STREAM_ROLE
from migrations_app.dataplane.database.stream import fingerprints
from migrations_app.preflight.finding import Finding, counted, failed, named, passed, warned
from migrations_app.preflight.sight import Sight
from migrations_app.units import size


def portal_schema(sight: Sight) -> Iterator[Finding]:
    if sight.is_reverse:
        return
    with sight.source_db.connect() as connection:
        if value(connection, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", SENTINEL_SCHEMA):
            yield failed(
                f"{sight.database} has a schema {SENTINEL_SCHEMA}, which is the portal's name for its own.",
                "Rename it; drop it if an earlier move left it.",
            )


def schema(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        found = fingerprints(connection)
    digest = hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]
    yield passed(f"{counted(len(found), 'table')}. The fingerprint of their columns is {digest}.")


def partitions(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        parents = value(connection, "SELECT count(*) FROM pg_class WHERE relkind = 'p' AND oid >= 16384")
        leaves = value(connection, "SELECT count(*) FROM pg_class WHERE relispartition AND relkind = 'r'")
    yield passed(f"{counted(parents, 'partitioned table')} with {counted(leaves, 'partition')}.")


def sequences(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        count = value(connection, "SELECT count(*) FROM pg_class WHERE relkind = 'S' AND oid >= 16384")
    yield passed(f"{counted(count, 'sequence')}, set inside the block: no stream carries them.")


def large_objects(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        count, length = rows(
            connection,
            "SELECT count(*), pg_table_size('pg_catalog.pg_largeobject') FROM pg_largeobject_metadata",
        )[0]
    yield passed(
        f"{counted(count, 'large object')}, {size(length)}." if count else "None.",
        why="No stream carries them: they are copied while writes are blocked." if count else "",
    )


def unlogged_tables(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        count, length = rows(
            connection,
            "SELECT count(*), coalesce(sum(pg_table_size(oid)), 0) FROM pg_class "
            "WHERE relkind = 'r' AND relpersistence = 'u' AND oid >= 16384",
        )[0]
    yield passed(
        f"{counted(count, 'unlogged table')}, {size(length)}." if count else "None.",
        why="No stream carries them: they are copied while writes are blocked." if count else "",
    )


def materialised_views(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        count, length = rows(
            connection,
            "SELECT count(*), coalesce(sum(pg_table_size(oid)), 0) FROM pg_class "
            "WHERE relkind = 'm' AND relispopulated",
        )[0]
    yield passed(
        f"{counted(count, 'populated materialised view')}, {size(length)}." if count else "None.",
        why="They are computed anew at the destination, in a live move while writes are blocked." if count else "",
    )


def row_security(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        enabled, forced = rows(
            connection,
            "SELECT count(*) FILTER (WHERE relrowsecurity), count(*) FILTER (WHERE relforcerowsecurity) FROM pg_class",
        )[0]
    yield passed(
        f"{counted(enabled, 'table')} with row-level security, {forced} of them forced on owners too.",
        why="No policy holds the portal's role, which is a superuser: it reads and writes every row."
        if enabled
        else "",
    )


def foreign_data(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        found = rows(
            connection,
            """SELECT s.srvname::text, (SELECT count(*) FROM pg_foreign_table t WHERE t.ftserver = s.oid),
                      (SELECT count(*) FROM pg_user_mapping m WHERE m.umserver = s.oid)
                 FROM pg_foreign_server s ORDER BY 1""",
        )
    for name, tables, mappings in found:
        yield warned(
            f"The foreign server {name} ({counted(tables, 'table')}, {counted(mappings, 'user mapping')}) keeps its "
            "address.",
            f"Make sure that it can be reached from {sight.dest}.",
            "Foreign tables go on reading where they read now, from another region.",
            about=name,
        )


def event_triggers(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        found = [name for (name,) in rows(connection, "SELECT evtname::text FROM pg_event_trigger ORDER BY 1")]
    yield passed(
        f"{named(found)}: brought over, and not fired by what the move does." if found else "None.",
    )


def own_streams(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        found = rows(
            connection,
            """SELECT kind, string_agg(name, ', ' ORDER BY name) FROM (
                   SELECT 'publication' AS kind, pubname::text AS name FROM pg_publication
                   UNION ALL
                   SELECT 'subscription', subname::text FROM pg_subscription
                    WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
                   UNION ALL
                   SELECT 'slot', slot_name::text FROM pg_replication_slots WHERE database = current_database()
               ) streams WHERE name !~ %s GROUP BY kind ORDER BY kind""",
            STREAM_ROLE,
        )
    for kind, names in found:
        yield warned(
            f"{sight.database} has the {kind} {names}.",
            f"Make it anew in {sight.dest} after the move, and drop it in {sight.source}.",
            "The app's own publications, subscriptions and slots are not moved, and go with the source's database.",
        )

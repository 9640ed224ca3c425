"""The checks. Each says what it found, why that matters, and the remedy; none changes anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, LiteralString

from django.conf import settings

from migrations_app.dataplane import blobs, edge, runtime
from migrations_app.dataplane.database import dump
from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.move import Move, bucket, host

Outcome = Literal["pass", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One check's answer."""

    check: str
    outcome: Outcome
    found: str
    why: str = ""
    remedy: str = ""


def preflight(move: Move) -> list[Finding]:
    """Every check's answer, in order. A check that cannot reach what it looks at fails with that as its finding.

    TransientError of a check is left to the caller's retry: it says nothing about the move.
    """
    found: list[Finding] = []
    for check in CHECKS:
        found.extend(list(check(move)) or [Finding(check.__name__, "pass", "")])
    return found


def _fail(check: Callable[..., object], found: str, remedy: str, why: str = "") -> Finding:
    return Finding(check.__name__, "fail", found, why, remedy)


def database_exists(move: Move) -> list[Finding]:
    if not move.source_db.exists():
        return [
            _fail(database_exists, f"{move.source} has no database {move.app.database}.", "Correct the app's entry.")
        ]
    if not move.is_reverse and move.dest_db.exists() and not move.fact("database_reserved"):
        return [
            _fail(
                database_exists, f"{move.dest} already has a database {move.app.database}.", "Drop or rename it first."
            )
        ]
    return []


def portal_is_superuser(move: Move) -> list[Finding]:
    return [
        _fail(
            portal_is_superuser,
            f"The portal's role in {cluster.region} is not a superuser.",
            "Make it one, or name one in the region's connection string.",
            "It copies password verifiers and fences every role out.",
        )
        for cluster in (move.source_db, move.dest_db)
        if not _ask(cluster, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    ]


def versions(move: Move) -> Iterator[Finding]:
    servers = {}
    for cluster in (move.source_db, move.dest_db):
        with cluster.admin() as admin:
            servers[cluster.region] = admin.info.server_version // 10000
    source, dest = (servers[cluster.region] for cluster in (move.source_db, move.dest_db))
    client = dump.client_version()
    if client < max(servers.values()):
        yield _fail(
            versions,
            f"pg_dump in {settings.PG_BIN_DIR} is version {client}, older than a server ({max(servers.values())}).",
            "Set PG_BIN_DIR to the folder of newer client tools.",
        )
    if dest < source:
        yield _fail(
            versions,
            f"{move.dest} runs PostgreSQL {dest}, older than {source} in {move.source}.",
            "Upgrade the destination first.",
        )


def logical_replication(move: Move) -> Iterator[Finding]:
    """Both sides need it: the destination streams back to the source, and a tripwire slot guards the fence."""
    for cluster in (move.source_db, move.dest_db):
        if _ask(cluster, "SELECT current_setting('wal_level')") != "logical":
            yield _fail(logical_replication, f"wal_level in {cluster.region} is not logical.", "Set it, and restart.")
        free = _ask(
            cluster,
            "SELECT current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots)",
        )
        if free < 1:
            yield _fail(
                logical_replication, f"No replication slot is free in {cluster.region}.", "Raise max_replication_slots."
            )


def extensions(move: Move) -> Iterator[Finding]:
    if not move.source_db.exists():
        return
    with move.source_db.connect() as at_source, move.dest_db.admin() as at_dest:
        for name, version in rows(at_source, "SELECT extname, extversion FROM pg_extension"):
            available = value(at_dest, "SELECT default_version FROM pg_available_extensions WHERE name = %s", name)
            if available != version:
                yield _fail(
                    extensions,
                    f"{move.app.database} uses extension {name} {version}; {move.dest} has {available or 'none'}.",
                    "Install that version there.",
                )


def sentinel_schema(move: Move) -> list[Finding]:
    if move.is_reverse or not move.source_db.exists():
        return []
    with move.source_db.connect() as connection:
        if not value(connection, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", SENTINEL_SCHEMA):
            return []
    found = f"{move.app.database} has a schema {SENTINEL_SCHEMA}, which is the portal's name for its own."
    return [_fail(sentinel_schema, found, "Rename it; drop it if an earlier move left it.")]


def prepared_transactions(move: Move) -> Iterator[Finding]:
    with move.source_db.admin() as admin:
        for (gid,) in rows(admin, "SELECT gid FROM pg_prepared_xacts WHERE database = %s", move.app.database):
            yield _fail(
                prepared_transactions,
                f"The prepared transaction {gid} holds {move.app.database} open.",
                "COMMIT PREPARED or ROLLBACK PREPARED it.",
            )


def superuser_sessions(move: Move) -> list[Finding]:
    """The hard fence cannot keep a superuser out; the tripwire sees what one writes."""
    with move.source_db.admin() as admin:
        found = rows(
            admin,
            "SELECT DISTINCT usename FROM pg_stat_activity JOIN pg_roles ON rolname = usename "
            "WHERE datname = %s AND rolsuper AND split_part(application_name, ' ', 1) <> 'region-mover'",
            move.app.database,
        )
    return [
        Finding(
            "superuser_sessions",
            "warn",
            f"The superuser {name} is connected to {move.app.database}.",
            "No fence keeps a superuser out; a write behind the fence stops the move.",
            "Let the app connect as an ordinary role.",
        )
        for (name,) in found
    ]


def blob_stores(move: Move) -> Iterator[Finding]:
    if not move.app.blobs:
        return
    if not move.dest.blobs:
        yield _fail(blob_stores, f"{move.dest} has no blob store.", "Name one in the region's entry.")
    elif not blobs.exists(bucket(move.source, move.app)):
        yield _fail(blob_stores, f"{move.source} has no bucket {move.app.blobs}.", "Correct the app's entry.")
    else:
        blobs.exists(bucket(move.dest, move.app))


def runtime_hosts(move: Move) -> Iterator[Finding]:
    if not move.app.program:
        return
    if not (move.dest.runtime_url and move.dest.runtime_path and move.dest.app_host):
        yield _fail(runtime_hosts, f"{move.dest} has no runtime host.", "Name one in the region's entry.")
    elif not runtime.exists(host(move.source), move.app.program):
        yield _fail(runtime_hosts, f"{move.source} has no program {move.app.program}.", "Correct the app's entry.")
    else:
        runtime.is_running(host(move.dest), move.app.program)


def edges(move: Move) -> Iterator[Finding]:
    if not move.app.is_routed:
        return
    if not settings.EDGE_ADMIN_URLS:
        yield _fail(edges, "No edge is configured, and the app has a host name.", "Set EDGE_ADMIN_URLS.")
    for url in settings.EDGE_ADMIN_URLS:
        edge.read(url, move.app.slug)


CHECKS: tuple[Callable[[Move], list[Finding] | Iterator[Finding]], ...] = (
    database_exists,
    portal_is_superuser,
    versions,
    logical_replication,
    extensions,
    sentinel_schema,
    prepared_transactions,
    superuser_sessions,
    blob_stores,
    runtime_hosts,
    edges,
)


def _ask(cluster: Cluster, query: LiteralString) -> Any:
    with cluster.admin() as admin:
        return value(admin, query)

"""Do versions, settings and extensions of both servers allow the move?"""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from migrations_app.dataplane.database import dump
from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.preflight.finding import Finding, failed, passed, warned
from migrations_app.preflight.sight import Sight

_LIVE_SINCE = 16
_LIVE_SLOTS = 2
"""One that the data streams through, one that guards the fence."""


def client_tools(sight: Sight) -> Iterator[Finding]:
    newest = max(_major(cluster) for cluster in sight.both)
    versions = {tool: dump.client_version(tool) for tool in ("pg_dump", "pg_restore")}
    if min(versions.values()) >= newest:
        yield passed(f"{' and '.join(f'{tool} {version}' for tool, version in versions.items())}.")
    for tool, version in versions.items():
        if version < newest:
            yield failed(
                f"{tool} in {settings.PG_BIN_DIR} is version {version}, older than a server ({newest}).",
                "Set PG_BIN_DIR to the folder of newer client tools.",
                "It refuses to read a newer server.",
            )


def server_versions(sight: Sight) -> Iterator[Finding]:
    source, dest = (_major(cluster) for cluster in sight.both)
    if dest < source:
        yield failed(
            f"{sight.dest} runs PostgreSQL {dest}, older than {source} in {sight.source}.",
            "Upgrade the destination first.",
        )
    elif dest > source:
        yield passed(f"{sight.dest} runs PostgreSQL {dest}, newer than {source} in {sight.source}.")


def live_versions(sight: Sight) -> Iterator[Finding]:
    for cluster in sight.both:
        if (major := _major(cluster)) < _LIVE_SINCE:
            yield failed(
                f"{cluster.region} runs PostgreSQL {major}; live needs {_LIVE_SINCE}.",
                "Use snapshot, or upgrade.",
                "Older ones cannot keep streams of two directions apart.",
            )


def _major(cluster: Cluster) -> int:
    with cluster.admin() as admin:
        return admin.info.server_version // 10000


def wal_level(sight: Sight) -> Iterator[Finding]:
    for cluster in sight.both:
        with cluster.admin() as admin:
            level = value(admin, "SHOW wal_level")
        if level != "logical":
            yield failed(
                f"wal_level in {cluster.region} is {level}.",
                "Set it to logical, and restart.",
                "The way back is a stream from the destination, and a slot guards the source's fence.",
            )


def replication_slots(sight: Sight) -> Iterator[Finding]:
    for cluster in sight.both:
        yield from _slots(cluster, 1)


def live_replication_slots(sight: Sight) -> Iterator[Finding]:
    yield from _slots(sight.source_db, _LIVE_SLOTS)


def _slots(cluster: Cluster, needed: int) -> Iterator[Finding]:
    with cluster.admin() as admin:
        (free,) = rows(
            admin,
            """SELECT current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots),
                      current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_replication)""",
        )
    short = [
        (name, left)
        for name, left in zip(("max_replication_slots", "max_wal_senders"), free, strict=True)
        if left < needed
    ]
    for name, left in short:
        yield failed(
            f"Of {name} in {cluster.region} {left} are free; {needed} are needed.",
            f"Raise {name}, and restart; or drop slots that nobody reads.",
        )
    if not short:
        yield passed(f"{cluster.region} has {free[0]} replication slots and {free[1]} WAL senders free.")


def apply_workers(sight: Sight) -> Iterator[Finding]:
    yield from _workers(sight.source_db)


def live_apply_workers(sight: Sight) -> Iterator[Finding]:
    yield from _workers(sight.dest_db)


def _workers(cluster: Cluster) -> Iterator[Finding]:
    """Of what runs in the background, pg_stat_activity shows all; what other libraries start has names of their own."""
    with cluster.admin() as admin:
        (row,) = rows(
            admin,
            """SELECT current_setting('max_logical_replication_workers')::int,
                      current_setting('max_worker_processes')::int,
                      count(*) FILTER (WHERE backend_type LIKE 'logical replication%worker'),
                      count(*) FILTER (WHERE backend_type LIKE 'logical replication%'
                                          OR backend_type = 'parallel worker')
                 FROM pg_stat_activity""",
        )
    most, most_of_all, applying, all_of_them = row
    if applying >= most:
        yield failed(
            f"All {most} of max_logical_replication_workers in {cluster.region} are in use.",
            "Raise it, and restart.",
            "One of them has to apply the stream.",
        )
    elif all_of_them >= most_of_all:
        yield warned(
            f"All of max_worker_processes in {cluster.region} are in use now.",
            "Raise it, and restart.",
            "The stream is applied by such a process; it waits until one is free.",
            about="",
        )
    else:
        yield passed(f"{cluster.region} can apply {min(most - applying, most_of_all - all_of_them)} more streams.")


def extensions(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as at_source, sight.dest_db.admin() as at_dest:
        used = rows(at_source, "SELECT extname, extversion FROM pg_extension ORDER BY 1")
        offered = dict(rows(at_dest, "SELECT name, default_version FROM pg_available_extensions"))
    for name, version in used:
        if offered.get(name) != version:
            yield failed(
                f"{sight.database} uses extension {name} {version}; {sight.dest} has {offered.get(name) or 'none'}.",
                "Install that version there.",
            )

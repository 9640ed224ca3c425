"""Are both clusters there, with the rights that a move needs, and the database where it has to be?"""

from __future__ import annotations

from collections.abc import Iterator

from migrations_app.dataplane.database.connection import DROP_INTERRUPTED, Cluster, rows, value
from migrations_app.preflight.finding import Finding, failed, passed, warned
from migrations_app.preflight.sight import Sight


def source_cluster(sight: Sight) -> Iterator[Finding]:
    yield _answers(sight.source_db)


def dest_cluster(sight: Sight) -> Iterator[Finding]:
    yield _answers(sight.dest_db)


def _answers(cluster: Cluster) -> Finding:
    with cluster.admin() as admin:
        return passed(f"{cluster.region} answers: PostgreSQL {value(admin, 'SHOW server_version')}.")


def between_clusters(sight: Sight) -> Iterator[Finding]:
    yield passed(
        f"Whether {sight.source} and {sight.dest} reach each other cannot be told without making something there.",
        why="The way back streams from one to the other; reserving_dest tries it, before writes are blocked.",
    )


def superuser(sight: Sight) -> Iterator[Finding]:
    for cluster in sight.both:
        with cluster.admin() as admin:
            if not value(admin, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"):
                yield failed(
                    f"The portal's role in {cluster.region} is not a superuser.",
                    "Make it one, or name one in the region's connection string.",
                    "It copies password verifiers and fences every role out.",
                )


def source_database(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.admin() as admin:
        found = rows(
            admin,
            "SELECT datallowconn, datistemplate, datconnlimit FROM pg_database "
            "WHERE datname = %s AND datconnlimit <> %s",
            sight.database,
            DROP_INTERRUPTED,
        )
    if not found:
        yield failed(f"{sight.source} has no database {sight.database}.", "Correct the app's entry.")
        return
    admits, is_template, limit = found[0]
    if not admits:
        yield failed(
            f"{sight.database} in {sight.source} takes no connections.",
            "ALTER DATABASE … ALLOW_CONNECTIONS true.",
            "A database that nobody may enter cannot be read.",
        )
    elif is_template or limit >= 0:
        notes = ["a template"] * is_template + [f"limited to {limit} connections"] * (limit >= 0)
        yield passed(f"{sight.database} is {' and '.join(notes)}, and will be so in {sight.dest}.")


def dest_database(sight: Sight) -> Iterator[Finding]:
    there = sight.dest_db.exists()
    if sight.is_reverse and not there:
        yield failed(
            f"{sight.dest} has no database {sight.database}.",
            "Request a move instead.",
            "A reverse goes back to the replica, and it is gone.",
        )
    if not sight.is_reverse and there and not sight.made["database_reserved"]:
        yield failed(f"{sight.dest} already has a database {sight.database}.", "Drop or rename it first.")


def tablespaces(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as connection:
        names = value(
            connection,
            """SELECT array_agg(spcname::text ORDER BY 1) FROM pg_tablespace t
                WHERE spcname NOT IN ('pg_default', 'pg_global')
                  AND (EXISTS (SELECT FROM pg_class c WHERE c.reltablespace = t.oid)
                    OR EXISTS (SELECT FROM pg_database d WHERE d.dattablespace = t.oid
                                AND d.datname = current_database()))""",
        )
    if names and not sight.is_reverse:
        yield warned(
            f"{sight.database} uses the tablespaces {', '.join(names)}.",
            "Nothing to do, unless they were there for speed or room.",
            f"In {sight.dest} everything lies in the default tablespace.",
        )

"""Does the destination know the database's locale and collations, and sort by the same rules?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import psycopg

from migrations_app.dataplane.database import creation
from migrations_app.dataplane.database.connection import rows, value
from migrations_app.preflight.finding import Finding, failed, named, passed, warned
from migrations_app.preflight.sight import Sight

_EVERYWHERE = frozenset({"c", "posix"})
_BUILTIN_SINCE = 170000


def locale(sight: Sight) -> Iterator[Finding]:
    """A libc locale that nothing at the destination uses yet may be there all the same: SQL does not list them."""
    if sight.is_reverse:
        return
    definition = creation.read(sight.source_db)
    words = f"{definition.encoding}, {definition.locale or definition.collate}"
    with sight.dest_db.admin() as at_dest:
        if definition.provider == "b" and at_dest.info.server_version < _BUILTIN_SINCE:
            yield failed(f"{sight.dest} has no builtin locale provider ({words}).", "Upgrade it to 17.")
        if definition.provider == "i" and not _has_icu(at_dest):
            yield failed(f"{sight.dest} was built without ICU ({words}).", "Use a PostgreSQL with ICU there.")
        known = _libc_locales(at_dest)
    unknown = {plain for name in (definition.collate, definition.ctype) if (plain := _plain(name)) not in known}
    if unknown:
        yield warned(
            f"Nothing in {sight.dest} uses the locale {', '.join(sorted(unknown))} yet.",
            "Look whether `locale -a` lists it there; generate it if not.",
            "Without it the database cannot be made; reserving_dest would say so, before writes are blocked.",
        )
    else:
        yield passed(f"{sight.dest} can have a database like it: {words}.")


def collation_versions(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as at_source, sight.dest_db.admin() as at_dest:
        if at_source.info.server_version < 150000:
            yield passed("Before PostgreSQL 15 a database does not say by which version of its locale it sorts.")
            return
        recorded, actual, provider, collate = rows(
            at_source,
            """SELECT datcollversion, pg_database_collation_actual_version(oid), datlocprovider::text, datcollate
                 FROM pg_database WHERE datname = current_database()""",
        )[0]
        is_stale = recorded and recorded != actual
        if is_stale:
            yield warned(
                f"{sight.database} was made with version {recorded} of its locale; {sight.source} has {actual} now.",
                "REINDEX what is ordered by text, then ALTER DATABASE … REFRESH COLLATION VERSION.",
                "Indexes over text may be out of order. One that is unique may hold a value twice: the restore stops.",
            )
        there = _version_at(at_dest, provider, collate)
    if actual and there and actual != there:
        yield warned(
            f"Text sorts by version {actual} of the locale in {sight.source}, by {there} in {sight.dest}.",
            "Nothing to do for indexes, they are built anew; look at partitions and checks that compare text.",
            "What is ordered or bounded by text may come out otherwise.",
        )
    elif actual and not is_stale:
        yield passed(f"Text sorts by version {actual} of the locale; {sight.dest} has {there or 'not told its own'}.")


def collations(sight: Sight) -> Iterator[Finding]:
    """Those of PostgreSQL itself, which a dump takes for granted."""
    with sight.source_db.connect() as at_source, sight.dest_db.admin() as at_dest:
        used = {
            name
            for (name,) in rows(
                at_source,
                """SELECT c.collname::text FROM pg_collation c
                    WHERE c.oid < 16384 AND c.collprovider <> 'd' AND c.collname NOT IN ('C', 'POSIX') AND c.oid IN (
                          SELECT attcollation FROM pg_attribute WHERE attrelid >= 16384 AND attnum > 0
                          UNION SELECT typcollation FROM pg_type WHERE oid >= 16384
                          UNION SELECT unnest(indcollation::oid[]) FROM pg_index WHERE indexrelid >= 16384)""",
            )
        }
        encoding = value(at_source, "SELECT encoding FROM pg_database WHERE datname = current_database()")
        known = {
            name
            for (name,) in rows(
                at_dest,
                "SELECT collname::text FROM pg_collation WHERE oid < 16384 AND collencoding IN (-1, %s)",
                encoding,
            )
        }
    if missing := sorted(used - known):
        yield failed(
            f"{sight.dest} does not have the collations {named(missing)}.",
            "Generate their locales there, then SELECT pg_import_system_collations('pg_catalog').",
            "Tables or indexes of the database are ordered by them.",
        )


def _has_icu(connection: psycopg.Connection[Any]) -> bool:
    return bool(value(connection, "SELECT count(*) FROM pg_collation WHERE collprovider = 'i'"))


def _libc_locales(connection: psycopg.Connection[Any]) -> set[str]:
    found = rows(
        connection,
        """SELECT unnest(ARRAY[collcollate, collctype]) FROM pg_collation WHERE collprovider = 'c'
           UNION SELECT unnest(ARRAY[datcollate, datctype]) FROM pg_database""",
    )
    return {_plain(name) for (name,) in found} | _EVERYWHERE


def _version_at(connection: psycopg.Connection[Any], provider: str, collate: str) -> str | None:
    """Of the same library: any of its locales tells it."""
    if provider == "i":
        return value(
            connection, "SELECT pg_collation_actual_version(oid) FROM pg_collation WHERE collname = 'und-x-icu'"
        )
    if provider == "b":
        return value(connection, "SELECT pg_collation_actual_version(oid) FROM pg_collation WHERE collprovider = 'b'")
    found = rows(
        connection,
        """SELECT collcollate, pg_collation_actual_version(oid) FROM pg_collation WHERE collprovider = 'c'
           UNION ALL SELECT datcollate, pg_database_collation_actual_version(oid) FROM pg_database
            WHERE datlocprovider = 'c'"""
        if connection.info.server_version >= 150000
        else "SELECT collcollate, pg_collation_actual_version(oid) FROM pg_collation WHERE collprovider = 'c'",
    )
    return next((version for name, version in found if version and _plain(name) == _plain(collate)), None)


def _plain(name: str) -> str:
    """`en_US.UTF-8` and `en_US.utf8` are one."""
    return re.sub(r"utf-8$", "utf8", name.lower())

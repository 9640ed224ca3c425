"""Compares all but the rows of tables: the schema, roles, the database's own properties, sequences, large objects."""

from __future__ import annotations

from collections.abc import Callable

from migrations_app.dataplane.database import creation, dump, leftovers, roles
from migrations_app.dataplane.database.connection import Cluster, value
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.dataplane.database.settings import is_flag
from migrations_app.verification import schema
from migrations_app.verification.report import Report
from migrations_app.verification.sides import Sides

NOT_STREAMED = {
    "large objects": "SELECT count(*) || ', hash ' || coalesce(sum(hashtextextended(l::text, 0)::numeric), 0) "
    "FROM (" + leftovers.LARGE_OBJECTS + ") l",
    "populated materialised views": "SELECT string_agg(oid::regclass::text, ', ' ORDER BY oid::regclass::text "
    "COLLATE \"C\") FROM pg_class WHERE relkind = 'm' AND relispopulated",
}
"""Beside sequences, what no stream carries and is compared as one."""

_EXTENSIONS = "SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension"


def compare_definitions(sides: Sides, *, fenced: bool = False) -> Callable[[Report], None]:
    """Begin to compare schema, roles, extensions and the database's properties; the result takes the report that is to
    hold what was found, and waits. `fenced`: who may connect is not compared, a hard fence is up on one side."""
    clusters = (sides.source, sides.dest)
    dumps = [
        sides.start(lambda side: dump.schema(side, check=sides.check, exclude_schema=SENTINEL_SCHEMA), side)
        for side in clusters
    ]
    definitions = [sides.start(definition, side, fenced) for side in clusters]
    needed = sides.on(sides.source, lambda session: roles.needed_by_database(session, fenced=True))
    extensions = sides.each(value, _EXTENSIONS)
    majors = sides.each(lambda session: session.info.server_version // 10000)

    def conclude(report: Report) -> None:
        left, right = sides.wait(definitions)
        for name, at_source in left.items():
            report.add("database", name, at_source, right[name])
        (wanted,) = sides.wait([needed])
        (present,) = sides.wait(
            [sides.on(sides.dest, lambda session: roles.existing(session, [role.name for role in wanted]))]
        )
        for role in wanted:
            other = present.get(role.name)
            differences = ["missing"] if other is None else role.differences(other)
            report.add("role", role.name, "", ", ".join(differences))
        report.add("extensions", "all", *sides.wait(extensions))
        at_source, at_dest = map(schema.entries, sides.wait(dumps))
        report.add("schema", "objects", at_source.total(), at_dest.total())
        same_major = len(set(sides.wait(majors))) == 1
        for title in schema.differing(at_source, at_dest, definitions=same_major):
            report.add("schema", title, "as at the source", "different or missing")

    return conclude


def compare_sequences(sides: Sides) -> Callable[[Report], None]:
    """Begin to compare the positions of sequences."""
    positions = sides.each(leftovers.sequence_positions)

    def conclude(report: Report) -> None:
        left, right = sides.wait(positions)
        for key in sorted(left.keys() | right.keys()):
            report.add("sequence", ".".join(key), left.get(key), right.get(key))

    return conclude


def compare_unstreamed(sides: Sides) -> Callable[[Report], None]:
    """Begin to compare large objects, and which materialised views are populated."""
    begun = {kind: sides.each(value, query) for kind, query in NOT_STREAMED.items()}

    def conclude(report: Report) -> None:
        for kind, found in begun.items():
            report.add(kind, "all", *sides.wait(found))

    return conclude


def definition(side: Cluster, fenced: bool) -> dict[str, object]:
    """What has to be equal of the database itself; the fence and the stream's role are ours."""
    read = creation.read(side)
    return {
        "owner": read.owner,
        "encoding": read.encoding,
        "locale": (read.provider, read.collate, read.ctype, read.locale, read.icu_rules),
        "connection limit": read.connection_limit,
        "comment": read.comment,
        "grants": sorted(
            grant
            for grant in read.grants
            if not roles.is_of_a_stream(grant[0]) and not (fenced and grant.privilege == "CONNECT")
        ),
        "settings": sorted((role or "", setting) for role, setting in read.settings if not is_flag(setting)),
    }

"""Who is in the source's database now, which roles it needs, and what is set for it."""

from __future__ import annotations

from collections.abc import Iterator

from migrations_app.dataplane.database import roles, settings
from migrations_app.dataplane.database.connection import rows, value
from migrations_app.preflight.finding import Finding, counted, failed, named, passed, warned
from migrations_app.preflight.sight import Sight
from migrations_app.units import span

_LONG_SECONDS = 60


def prepared_transactions(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.admin() as admin:
        found = rows(admin, "SELECT gid, database::text FROM pg_prepared_xacts ORDER BY 1")
    for gid, database in found:
        if database == sight.database:
            yield failed(
                f"The prepared transaction {gid} holds {database} open.",
                "COMMIT PREPARED or ROLLBACK PREPARED it.",
                "It may write behind the fence, whenever it is committed.",
            )
        else:
            yield warned(
                f"The prepared transaction {gid} is open in {database}, in the same cluster.",
                "COMMIT PREPARED or ROLLBACK PREPARED it.",
                "A slot can only be made once it has ended.",
            )


def long_transactions(sight: Sight) -> Iterator[Finding]:
    """Of the whole cluster. Never what they run: a query may hold values of the app."""
    with sight.source_db.admin() as admin:
        found = rows(
            admin,
            """SELECT pid, usename::text, datname::text, extract(epoch FROM now() - xact_start)::float
                 FROM pg_stat_activity
                WHERE xact_start < now() - make_interval(secs => %s) AND backend_type = 'client backend'
                ORDER BY xact_start""",
            _LONG_SECONDS,
        )
    if found:
        listed = [f"pid {pid} ({role} in {database}, {span(age)})" for pid, role, database, age in found]
        yield warned(
            f"Transactions open for more than {_LONG_SECONDS} s: {named(listed)}.",
            "Let them end, or end them, before the move begins.",
            "A slot can only be made once all that write in the cluster have ended.",
            about="",
        )


def superuser_sessions(sight: Sight) -> Iterator[Finding]:
    """The hard fence cannot keep a superuser out; the tripwire sees what one writes."""
    with sight.source_db.admin() as admin:
        found = rows(
            admin,
            "SELECT DISTINCT usename FROM pg_stat_activity JOIN pg_roles ON rolname = usename "
            "WHERE datname = %s AND rolsuper AND split_part(application_name, ' ', 1) <> 'region-mover' ORDER BY 1",
            sight.database,
        )
    for (name,) in found:
        yield warned(
            f"The superuser {name} is connected to {sight.database}.",
            "Let the app connect as an ordinary role.",
            "No fence keeps a superuser out; a write behind the fence stops the move.",
        )


def role_conflicts(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as at_source, sight.dest_db.admin() as at_dest:
        needed = roles.needed_by_database(at_source)
        present = roles.existing(at_dest, [role.name for role in needed])
    made = sight.made["roles_made"] or []
    assert isinstance(made, list)  # noqa: S101 — see docs/steps.md
    conflicts = roles.conflicts([role for role in needed if role.name not in made], present)
    for conflict in conflicts:
        yield failed(conflict, "Make them equal, or rename or drop the one at the destination.")
    if not conflicts:
        missing = len([role for role in needed if role.name not in present])
        yield passed(f"{counted(len(needed), 'role')} needed, {missing} to be made in {sight.dest}.")


def database_settings(sight: Sight) -> Iterator[Finding]:
    with sight.source_db.connect() as at_source, sight.dest_db.admin() as at_dest:
        own = [setting for _, setting in settings.of_database(at_source, sight.database)]
        of_roles = [setting for role in roles.needed_by_database(at_source) for setting in role.settings]
        names = {setting.partition("=")[0] for setting in [*own, *of_roles]}
        # A name with a dot is taken as it is, whether anything there knows it or not.
        unknown = [
            name
            for name in sorted(names)
            if "." not in name and value(at_dest, "SELECT current_setting(%s, true) IS NULL", name)
        ]
    for name in unknown:
        yield failed(
            f"PostgreSQL in {sight.dest} does not know the setting {name}.",
            f"RESET {name} for the database and its roles in {sight.source}.",
            "It could not be set there.",
        )
    if not unknown:
        yield passed(f"{counted(len(own), 'setting')} of the database, {len(of_roles)} of its roles.")

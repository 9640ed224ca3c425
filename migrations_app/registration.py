"""Finds out what an existing app has in its region, so that putting it on the books takes one line."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError

from migrations_app.dataplane import blobs, edge, runtime
from migrations_app.errors import InvalidInput
from migrations_app.models import App, Region
from migrations_app.move import bucket, cluster, host


def discover(
    *,
    slug: str,
    region: Region,
    database: str,
    hostname: str,
    port: int | None,
    blobs_name: str | None,
    program: str | None,
    health_path: str,
) -> App:
    """An unsaved App. Of bucket and program None means: the one named like the app, if there is one; "" means none.

    Raises InvalidInput naming what was given and is not there; StepError when the region does not answer.
    """
    app = App(slug=slug, region=region, database=database, hostname=hostname, port=port, health_path=health_path)
    try:
        app.clean_fields()
    except ValidationError as error:
        raise invalid(error) from error
    if not cluster(region, database).exists():
        raise InvalidInput(
            f"--database {database}: {region} has no such database.",
            hint=f"Create it there, or name another; its cluster is {region.database}.",
            code="unknown_database",
        )
    if database == cluster(region, database).maintenance or database.startswith("template"):
        raise InvalidInput(
            f"--database {database}: it is the cluster's own, not an app's.",
            hint="Name the app's database.",
            code="invalid_app",
        )
    app.blobs = _bucket(app, region, blobs_name)
    app.program = _program(app, region, program)
    if hostname and port is None:
        app.port = _port_at_edges(hostname, region)
    if app.program and not app.port:
        raise InvalidInput(
            f"--port: {slug} has the program {app.program}, and no edge tells where it listens.",
            hint="Give --port, or --no-runtime if the program is not the app's.",
            code="unknown_port",
        )
    return app


def invalid(error: ValidationError) -> InvalidInput:
    """What a model's validation found, naming each field."""
    found = (f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items())
    return InvalidInput(" ".join(found), hint="Correct that and try again.", code="invalid_app")


def _bucket(app: App, region: Region, name: str | None) -> str:
    app.blobs = app.slug if name is None else name
    if not app.blobs or not region.blobs:
        return ""
    if blobs.exists(bucket(region, app)):
        return app.blobs
    if name is None:
        return ""
    raise InvalidInput(
        f"--blobs {name}: {region} has no such bucket.", hint="Create it, or say --no-blobs.", code="unknown_bucket"
    )


def _program(app: App, region: Region, name: str | None) -> str:
    program = app.slug if name is None else name
    if not program or not region.runtime_path:
        return ""
    if runtime.exists(host(region), program):
        return program
    if name is None:
        return ""
    raise InvalidInput(
        f"--program {name}: {region} has no such program.",
        hint="Deploy it, or say --no-runtime.",
        code="unknown_program",
    )


def _port_at_edges(hostname: str, region: Region) -> int | None:
    """The port under which the edges reach the host name in the region now."""
    for admin_url in settings.EDGE_ADMIN_URLS:
        found = edge.find_upstream(admin_url, hostname)
        if found:
            address, _, port = found[1].rpartition(":")
            if address == region.app_host and port.isdigit():
                return int(port)
    return None

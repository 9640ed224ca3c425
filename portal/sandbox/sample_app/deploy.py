"""Puts the guest book into one region, filled, and takes it out again.

Each part is made only where it is missing, the program's definition last: it stands for "all of it is there", so a
deployment that was cut short is carried on by the next one.
"""

from __future__ import annotations

import json
import secrets as random
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from migrations_app.dataplane import blobs, rclone, runtime
from migrations_app.dataplane.process import Check, no_check
from migrations_app.errors import InvalidInput
from portal.sandbox.layout import make_private, write_private
from portal.sandbox.sample_app import fill, program
from portal.sandbox.sample_app.pictures import png

_APP = Path(__file__).with_name("app.py")
_HEALTHY_SECONDS = 60


@dataclass(frozen=True)
class Target:
    """A region's parts, in the words of the tools that read them. Passwords come from PGPASSFILE and rclone.conf."""

    slug: str
    database: str
    """libpq connection string of an administrator, without a password."""
    blobs: str
    """rclone remote of the region's S3 server, such as `us-east-1:`."""
    runtime: str
    """URL of the supervisord."""
    programs: Path
    """Folder that supervisord includes `*.conf` from."""
    host: str = "127.0.0.1"
    """Where the app listens."""


@dataclass(frozen=True)
class Deployment:
    """Where a deployed guest book is. Its database, role, bucket, program and release folder all have its name."""

    name: str
    url: str
    created: bool
    """False: it was there already, and was left as it is."""


def deploy(
    target: Target,
    *,
    port: int,
    secrets: Path,
    name: str = "guestbook",
    rows: int = 50_000,
    pictures: int = 200,
    start: bool = True,
    check: Check = no_check,
) -> Deployment:
    """Create role, database, bucket, release and program; fill them; start the app.

    `secrets` is a folder for the role's generated password, kept so that the same app has one password in every
    region. `check` is called during long work and may raise. What is deployed already is only started.
    Errors: InvalidInput, StepError, psycopg.Error.
    """
    definition = target.programs / f"{name}.conf"
    url = f"http://{target.host}:{port}"
    created = not definition.exists()
    if created:
        password = _password(secrets / f"{name}.password")
        sizes = {picture: len(png(picture)) for picture in _picture_names(pictures)}
        _make_role_and_database(target, name, password)
        _fill_bucket(target, name, pictures, check)
        with _connect(target, name) as connection:
            fill.schema_and_rows(connection, role=name, rows=rows, pictures=sizes)
        release = target.programs / name
        release.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_APP, release / "app.py")
        environment = _environment(target, name, password)
        section = program.render(name, command=_command(target, port), directory=release, environment=environment)
        write_private(definition, section)
    if start:
        runtime.start(_host(target), name, check=check)
        runtime.wait_healthy(f"{url}/healthz", deadline_seconds=_HEALTHY_SECONDS, check=check)
    return Deployment(name=name, url=url, created=created)


def undeploy(target: Target, *, name: str = "guestbook", check: Check = no_check) -> None:
    """Remove the guest book from a region, whatever of it is there. Its password stays with the sandbox's secrets."""
    runtime.remove(_host(target), name, check=check)
    with _connect(target, "postgres") as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
    blobs.purge(_bucket(target, name), check=check)


def _make_role_and_database(target: Target, name: str, password: str) -> None:
    with _connect(target, "postgres") as connection:
        role = sql.Identifier(name)
        # Hashed here: the server's log may keep statements.
        verifier = connection.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [name]).fetchone()
        verb = sql.SQL("ALTER ROLE" if known else "CREATE ROLE")
        connection.execute(sql.SQL("{} {} LOGIN PASSWORD {}").format(verb, role, sql.Literal(verifier)))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
        connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(role))


def _fill_bucket(target: Target, name: str, pictures: int, check: Check) -> None:
    blobs.make(_bucket(target, name))
    with tempfile.TemporaryDirectory(prefix=f"{name}-pictures-") as folder:
        for picture in _picture_names(pictures):
            (Path(folder) / picture).write_bytes(png(picture))
        rclone.run(["copy", "--transfers=16"], folder, _bucket(target, name), check=check)


def _picture_names(count: int) -> list[str]:
    return [f"seed-{number:04}.png" for number in range(1, count + 1)]


def _command(target: Target, port: int) -> list[str]:
    return [
        *(sys.executable, "-B", "-m", "gunicorn", "app:application"),  # -B: the release folder is copied as it is
        *("--bind", f"{target.host}:{port}", "--worker-class", "gthread", "--threads", "8", "--workers", "1"),
        *("--graceful-timeout", "10"),
        *("--keep-alive", "75"),  # seconds; idle connections are left for the edge, their user, to close
        "--no-control-socket",  # it would be a file in the operator's home, the same one for every app
    ]


def _environment(target: Target, name: str, password: str) -> dict[str, str]:
    server = conninfo_to_dict(target.database)
    s3 = _s3_remote(target)
    return {
        "REGION": target.slug,
        "DATABASE_URL": f"postgresql://{name}:{password}@{server['host']}:{server.get('port', 5432)}/{name}",
        "S3_ENDPOINT": s3["endpoint"],
        "S3_ACCESS_KEY": s3["access_key_id"],
        "S3_SECRET_KEY": s3["secret_access_key"],
        "S3_BUCKET": name,
    }


def _s3_remote(target: Target) -> dict[str, str]:
    """The S3 endpoint and keys, as rclone has them."""
    remote = json.loads(rclone.run(["config", "dump"]).stdout).get(target.blobs.removesuffix(":"), {})
    if not target.blobs.endswith(":") or remote.get("type") != "s3":
        raise InvalidInput(
            f"The guest book keeps its pictures in S3, and {target.blobs!r} is no S3 remote of rclone's.",
            hint="Name a remote of type s3 from rclone.conf, with the colon and without a path.",
        )
    return dict(remote)


def _host(target: Target) -> runtime.Host:
    return runtime.Host(target.runtime, str(target.programs))


def _bucket(target: Target, name: str) -> str:
    return blobs.join(target.blobs, name)


def _connect(target: Target, database: str) -> psycopg.Connection:
    return psycopg.connect(target.database, dbname=database, autocommit=True, connect_timeout=10)


def _password(path: Path) -> str:
    """The password in `path`; a new one, the first time. Hexadecimal: no URL and no file has to quote it."""
    if not path.exists():
        make_private(path.parent)
        write_private(path, random.token_hex(24))
    return path.read_text()

"""PostgreSQL's data directories and settings: the portal's own server and one per region."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import psycopg
from psycopg import sql

from portal.sandbox import binaries
from portal.sandbox.files import write_postgres
from portal.sandbox.layout import Layout, SandboxError, make_private, postgres_ids, remove_tree, write_private
from portal.sandbox.state import LOCAL, PORTS, REGIONS, Sandbox

PORTAL = "portal-postgres"
SERVERS = (PORTAL, *(f"{place.slug}-postgres" for place in REGIONS))

_INITDB_SECONDS = 120
_INITDB_LINES = 6

_SCRAM_ITERATIONS = "1"
"""Its passwords are random, so there is nothing to guess. To make it hard took a twelfth of what the tests compute."""

_EVERYWHERE = {
    "unix_socket_directories": "",  # such a path may have 107 bytes at most
    "password_encryption": "scram-sha-256",
    "scram_iterations": _SCRAM_ITERATIONS,
    "shared_buffers": "32MB",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "logging_collector": "off",
    # Statements carry password verifiers; none is to reach a log.
    "log_statement": "none",
    "log_min_error_statement": "panic",
}
_OF_THE_PORTAL = {
    "shared_buffers": "256MB",  # years of moves are to stay in it (manage.py seed_books)
}
_REGIONAL = {
    "wal_level": "logical",
    "max_wal_senders": "20",
    "max_replication_slots": "20",
    "max_active_replication_origins": "20",
    "max_logical_replication_workers": "20",
    "max_worker_processes": "32",
    "max_prepared_transactions": "5",
}


def superuser(server: str) -> str:
    """The bootstrap role. In a region that is the portal's login; in the portal's own server it is not."""
    return "postgres" if server == PORTAL else "portal"


def prepare(sandbox: Sandbox) -> None:
    """Make the data directories that are missing, all at once, and write every server's settings.

    SandboxError with initdb's last lines when it fails.
    """
    at = sandbox.layout
    _make_home(at)
    for name in SERVERS:
        write_postgres(sandbox, name, _settings(sandbox, name))
    missing = [name for name in SERVERS if not at.cluster(name).exists()]
    started = [(name, _start_initdb(sandbox, name)) for name in missing]
    failures = []
    for name, process in started:
        try:
            output, _ = process.communicate(timeout=_INITDB_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
        _password_file(at, name).unlink(missing_ok=True)
        if process.returncode == 0:
            _draft(at, name).rename(at.cluster(name))
        else:
            tail = output.decode(errors="replace").strip().splitlines()[-_INITDB_LINES:]
            failures.append("\n".join([f"initdb could not make the data directory of {name}:", *tail, ""]))
    if failures:
        full = "No space left on device" in failures[0]
        raise SandboxError(
            failures[0],
            hint=f"The disk of {at.clusters} is full: free 250 MB."
            if full
            else f"Look at {at.clusters} and try again.",
        )


def create_portal_database(sandbox: Sandbox) -> None:
    """The portal's role and database, if they are missing. The role owns its database and is no superuser."""
    with psycopg.connect(
        host=LOCAL,
        port=sandbox.state.ports[PORTAL],
        user=superuser(PORTAL),
        password=sandbox.password(PORTAL),
        dbname="postgres",
        connect_timeout=10,
        autocommit=True,
    ) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'portal'").fetchone():
            # CREATEDB: the test run makes its own database.
            statement = sql.SQL("CREATE ROLE portal LOGIN CREATEDB PASSWORD {}")
            connection.execute(statement.format(sql.Literal(sandbox.password("portal"))))
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'portal'").fetchone():
            connection.execute("CREATE DATABASE portal OWNER portal")


def _settings(sandbox: Sandbox, server: str) -> dict[str, str]:
    return {
        **_EVERYWHERE,
        **(_OF_THE_PORTAL if server == PORTAL else _REGIONAL),
        "listen_addresses": PORTS[server][0],
        "port": str(sandbox.state.ports[server]),
        "cluster_name": server,
        "hba_file": str(sandbox.layout.postgres_hba_file),
        "fsync": "off" if os.environ.get("SANDBOX_FSYNC", "").lower() == "off" else "on",
    }


def _make_home(at: Layout) -> None:
    """The folders above the data directories. Root's is for all to enter, as PostgreSQL's user must; not to list."""
    home = at.postgres_home
    ids = postgres_ids(at)
    if ids:
        # In a folder where everybody may create names, an existing one counts only if it is ours.
        home.mkdir(mode=0o711, exist_ok=True)
        found = home.lstat()
        if home.is_symlink() or found.st_uid != os.geteuid():
            raise SandboxError(f"{home} belongs to somebody else.", hint="Remove it, or set SANDBOX_DIR elsewhere.")
        home.chmod(0o711)
    make_private(at.clusters)
    if ids:
        os.chown(at.clusters, *ids)


def _draft(at: Layout, server: str) -> Path:
    return at.clusters / f"{server}.draft"


def _password_file(at: Layout, server: str) -> Path:
    return at.postgres_home / f"{server}.password"


def _start_initdb(sandbox: Sandbox, server: str) -> subprocess.Popen[bytes]:
    at = sandbox.layout
    ids = postgres_ids(at)
    remove_tree(_draft(at, server))
    write_private(_password_file(at, server), sandbox.password(server), owner=ids)
    return subprocess.Popen(
        [
            str(binaries.server_postgres_bin(at) / "initdb"),
            f"--pgdata={_draft(at, server)}",
            f"--username={superuser(server)}",
            f"--pwfile={_password_file(at, server)}",
            "--auth=scram-sha-256",
            f"--set=scram_iterations={_SCRAM_ITERATIONS}",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=at.postgres_home,
        env={"PATH": os.defpath, "LC_ALL": "C"},
        user=ids[0] if ids else None,
        group=ids[1] if ids else None,
        extra_groups=[] if ids else None,
    )

"""pg_dump and pg_restore in directory format, several jobs at once, with a manifest of checksums."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from migrations_app.dataplane.database.connection import SESSION_OPTIONS, Cluster
from migrations_app.dataplane.process import Check, Completed, run
from migrations_app.errors import PermanentError

MANIFEST = "manifest.json"
_DEADLINE_SECONDS = 24 * 3600.0

OnTable = Callable[[int], None]
"""Called with the number of tables begun so far."""


def client(name: str) -> str:
    """Path of a PostgreSQL client tool; an older one is often first on PATH, so it is chosen by setting."""
    return str(Path(settings.PG_BIN_DIR) / name)


def client_version() -> int:
    """Major version of pg_dump."""
    said = run([client("pg_dump"), "--version"], deadline_seconds=30).raise_for_status().stdout.decode()
    found = re.search(r"\d+", said)
    if not found:
        raise PermanentError(f"{client('pg_dump')} does not tell its version.", code="client_tools")
    return int(found[0])


def _run(argv: list[str], *, check: Check, on_table: OnTable | None = None) -> Completed:
    begun = 0

    def count(line: str) -> None:
        nonlocal begun
        if on_table and ("dumping contents of table" in line or "processing data for table" in line):
            begun += 1
            on_table(begun)

    return run(
        argv,
        deadline_seconds=_DEADLINE_SECONDS,
        env={"PGOPTIONS": SESSION_OPTIONS, "PGAPPNAME": "region-mover", "PGCONNECT_TIMEOUT": "10"},
        check=check,
        on_stderr_line=count,
    ).raise_for_status()


def dump(source: Cluster, folder: Path, *, jobs: int, check: Check, on_table: OnTable) -> int:
    """Dump the database into `folder` (made anew) and write its manifest. Returns its size in bytes."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    _run(
        [
            client("pg_dump"),
            "--format=directory",
            f"--jobs={jobs}",
            "--compress=none",
            "--no-publications",
            "--no-subscriptions",
            "--no-tablespaces",
            "--verbose",
            f"--file={folder}",
            f"--dbname={source.target}",
        ],
        check=check,
        on_table=on_table,
    )
    files = {path.name: _checksum(path, check) for path in sorted(folder.iterdir())}
    total = sum(path.stat().st_size for path in folder.iterdir())
    (folder / MANIFEST).write_text(json.dumps({"bytes": total, "files": files}, indent=1))
    return total


def verify(folder: Path, *, check: Check) -> int:
    """Compare the dump with its manifest; its size in bytes.

    Errors: PermanentError `dump_damaged`, naming the first file that differs.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
    except (OSError, ValueError) as error:
        raise PermanentError(f"The dump in {folder} has no readable manifest.", code="dump_damaged") from error
    present = {path.name for path in folder.iterdir()} - {MANIFEST}
    for name in sorted(present ^ manifest["files"].keys()):
        raise PermanentError(f"The dump and its manifest differ in {name}.", code="dump_damaged")
    for name, entry in manifest["files"].items():
        if _checksum(folder / name, check) != entry:
            raise PermanentError(f"{name} in the dump is not what its manifest says.", code="dump_damaged")
    return manifest["bytes"]


def _checksum(path: Path, check: Check) -> dict[str, str | int]:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            check()
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}


def restore(dest: Cluster, folder: Path, *, jobs: int, check: Check, on_table: OnTable) -> None:
    """Restore the dump into the empty database."""
    _run(
        [
            client("pg_restore"),
            f"--jobs={jobs}",
            "--exit-on-error",
            "--no-publications",
            "--no-subscriptions",
            "--no-tablespaces",
            "--verbose",
            f"--dbname={dest.target}",
            "--",
            str(folder),
        ],
        check=check,
        on_table=on_table,
    )


def analyze(dest: Cluster, *, jobs: int, check: Check) -> None:
    """Statistics belong to the cluster: gather them, so that the first queries find good plans."""
    _run(
        [
            client("vacuumdb"),
            "--analyze-only",
            f"--jobs={jobs}",
            "--no-password",
            f"--maintenance-db={dest.target}",
            f"--dbname={dest.target}",
        ],
        check=check,
    )


def schema(cluster: Cluster, *, check: Check, exclude_schema: str) -> str:
    """The database's schema as pg_dump words it, without publications and subscriptions."""
    return _run(
        [
            client("pg_dump"),
            "--schema-only",
            "--no-publications",
            "--no-subscriptions",
            "--no-tablespaces",
            f"--exclude-schema={exclude_schema}",
            f"--dbname={cluster.target}",
        ],
        check=check,
    ).stdout.decode()

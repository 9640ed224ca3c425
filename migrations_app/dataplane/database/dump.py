"""pg_dump and pg_restore in directory format, several jobs at once, with a manifest of checksums."""

from __future__ import annotations

import json
import re
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from psycopg import sql

from migrations_app.dataplane import runner
from migrations_app.dataplane.database.checksums import Checksums
from migrations_app.dataplane.database.connection import Cluster, rows
from migrations_app.dataplane.database.copy_progress import Copying
from migrations_app.dataplane.process import Check, Completed, run
from migrations_app.errors import PermanentError

MANIFEST = "manifest.json"
_DEADLINE_SECONDS = 24 * 3600.0


def client(name: str) -> str:
    """Path of a PostgreSQL client tool; an older one is often first on PATH, so it is chosen by setting."""
    return str(Path(settings.PG_BIN_DIR) / name)


def client_version(name: str = "pg_dump") -> int:
    """Major version of the tool."""
    said = run([client(name), "--version"], deadline_seconds=30).raise_for_status().stdout.decode()
    found = re.search(r"\d+", said)
    if not found:
        raise PermanentError(f"{client(name)} does not tell its version.", code="client_tools")
    return int(found[0])


# Words of pg_dump and pg_restore for an answer of the server that trying again would not change.
_REFUSED = re.compile(r"error: (?:could not execute query|query failed|COPY failed for table .*): ERROR:")
_PASSING = re.compile(
    r"timeout|deadlock|terminat|snapshot|No space left|out of memory|too many|cannot connect|could not connect"
)


_FINISHED = re.compile(r": finished item (\d+) ")


def _run(
    argv: list[str],
    *,
    check: Check,
    copying: Copying | None = None,
    on_item: Callable[[str], None] | None = None,
    options: str,
    code: str = "dump_failed",
) -> Completed:
    """`on_item` is called with the number of each item that is done, when there are several jobs.

    Errors: PermanentError `code` when the server refuses a statement; TransientError for anything else.
    """

    def on_line(line: str) -> None:
        if copying:
            copying.on_line(line)
        if on_item and (finished := _FINISHED.search(line)):
            on_item(finished[1])

    with copying or nullcontext():
        done = run(
            argv,
            deadline_seconds=_DEADLINE_SECONDS,
            env={
                "PGOPTIONS": options,
                "PGAPPNAME": runner.session_name(),
                "PGCONNECT_TIMEOUT": "10",
            },
            check=copying.beside(check) if copying else check,
            on_stderr_line=on_line,
        )
    refused = [line for line in done.stderr_tail.splitlines() if _REFUSED.search(line)]
    if done.returncode and refused and not _PASSING.search(refused[0]):
        raise PermanentError(refused[0], hint="Correct it in the source's database, or at the destination.", code=code)
    # The lines around an error quote the app's rows and passwords.
    errors = [line for line in done.stderr_tail.splitlines() if " error: " in line]
    return replace(done, stderr_tail="\n".join(errors)).raise_for_status()


def dump(
    source: Cluster, folder: Path, *, jobs: int, check: Check, copying: Copying | None = None, snapshot: str = ""
) -> int:
    """Dump the database into `folder` (made anew) and write its manifest. Returns its size in bytes.

    `snapshot`: as of an exported one; its session has to be open until this returns.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Checksums(jobs) as checksums:

        def begin(number: str) -> None:
            path = folder / f"{number}.dat"
            if path.exists():  # not for large objects, of which an item has many
                checksums.begin(path)

        _run(
            [
                client("pg_dump"),
                "--format=directory",
                f"--jobs={jobs}",
                "--compress=0",
                "--no-publications",
                "--no-subscriptions",
                "--no-tablespaces",
                "--verbose",
                *([f"--snapshot={snapshot}"] if snapshot else []),
                f"--file={folder}",
                f"--dbname={source.target}",
            ],
            check=check,
            copying=copying,
            on_item=begin,  # as soon as its file is whole, and still in memory
            options=source.session_options(),
        )
        for path in folder.iterdir():
            checksums.begin(path)
        files = checksums.entries(check)
    total = sum(int(entry["bytes"]) for entry in files.values())
    (folder / MANIFEST).write_text(json.dumps({"bytes": total, "files": files}, indent=1))
    return total


def verify(folder: Path, *, jobs: int, check: Check) -> int:
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
    with Checksums(jobs) as checksums:
        for name in manifest["files"]:
            checksums.begin(folder / name)
        found = checksums.entries(check)
    for name, entry in manifest["files"].items():
        if found[name] != entry:
            raise PermanentError(f"{name} in the dump is not what its manifest says.", code="dump_damaged")
    return manifest["bytes"]


# Grants one after the other: what a role passes on, it grants itself, and for that needs what it was granted before.
# Then what may need the grants, as pg_restore has it too.
_GRANTS = re.compile(rb"^\d+; \d+ \d+ (?:DEFAULT )?ACL ")
_AFTER_GRANTS = re.compile(rb"^\d+; \d+ \d+ (?:MATERIALIZED VIEW DATA|(?:COMMENT - )?EVENT TRIGGER) ")


def restore(dest: Cluster, folder: Path, *, jobs: int, check: Check, copying: Copying | None = None) -> None:
    """Restore the dump into the empty database.

    What is computed on the way (materialised views) is so under the database's own settings; no event trigger fires.
    Errors: PermanentError `restore_failed`, with what the server said.
    """
    listed = _run([client("pg_restore"), "--list", "--", str(folder)], check=check, options="").stdout
    parts: dict[str, list[bytes]] = {"objects": [], "grants": [], "after": []}
    for entry in listed.splitlines():
        part = "grants" if _GRANTS.match(entry) else "after" if _AFTER_GRANTS.match(entry) else "objects"
        parts[part].append(entry)
    for part, entries in parts.items():
        if not entries:
            continue
        contents = folder.with_name(f"{part}.list")
        contents.write_bytes(b"\n".join(entries) + b"\n")
        _run(
            [
                client("pg_restore"),
                f"--jobs={1 if part == 'grants' else jobs}",
                f"--use-list={contents}",
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
            copying=copying if part == "objects" else None,
            options=f"{dest.session_options(wording=False)} -c synchronous_commit=off",  # thousands of small commits
            code="restore_failed",
        )
    with dest.connect() as connection:
        # A commit that waits for the disk takes all earlier ones there with it.
        connection.execute("SET synchronous_commit = on")
        connection.execute("SELECT pg_logical_emit_message(true, 'portal', '')")


def analyze(dest: Cluster, *, jobs: int, check: Check) -> list[str]:
    """Statistics belong to the cluster: gather them, so that the first queries find good plans.

    Returns the tables that could not be analysed (a foreign table below one cannot be reached from there, say): their
    plans may be worse until autovacuum has seen them, which is no reason to stop a move.
    """
    with dest.connect() as connection:
        # Autovacuum never analyses a partitioned table; from 18 on that does not mean its partitions once more.
        kinds = ["r", "m", "p"] if connection.info.server_version >= 180000 else ["r", "m"]
        tables = rows(
            connection,
            """SELECT n.nspname, c.relname, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = ANY(%s::"char"[]) AND c.relpersistence <> 't' AND c.oid >= 16384
                ORDER BY c.relpages DESC, 1, 2""",
            kinds,
        )
    failed: list[str] = []
    stop = threading.Event()

    def analyze_some(part: list[Any]) -> None:
        with dest.connect(wording=False) as connection:
            for schema, name, kind in part:
                if stop.is_set():
                    return
                only = sql.SQL("ONLY " if kind in ("p", b"p") else "")
                try:
                    connection.execute(sql.SQL("ANALYZE {}{}").format(only, sql.Identifier(schema, name)))
                except psycopg.Error:
                    if connection.closed:
                        raise
                    failed.append(f"{schema}.{name}")

    with ThreadPoolExecutor(jobs) as pool:
        pending = {pool.submit(analyze_some, tables[n::jobs]) for n in range(jobs)}
        try:
            while pending:
                finished, pending = wait(pending, timeout=0.1, return_when=FIRST_COMPLETED)
                for future in finished:
                    future.result()
                check()
        finally:
            stop.set()
    return sorted(failed)


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
        options=cluster.session_options(),
        # In the database's own encoding; what is not UTF-8 there stays distinct, and can be shown.
    ).stdout.decode(errors="backslashreplace")

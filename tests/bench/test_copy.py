"""How long the copy of a whole database takes, beside the same by hand and beside pgcopydb, all with as many jobs.

BENCH_MEGABYTES: sizes of the database, comma-separated. Each way copies each size BENCH_RUNS times, in turns; medians.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings
from psycopg import sql

from migrations_app.dataplane.database import creation, dump
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.process import no_check
from migrations_app.models import Region
from tests.bench import report
from tests.bench.data import mix
from tests.conftest import Shop

MEGABYTES = report.numbers("BENCH_MEGABYTES", "100,500")
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
JOBS = settings.MOVES_COPY_JOBS

OURS, BY_HAND, PGCOPYDB = "region-mover", "pg_dump, pg_restore, vacuumdb", "pgcopydb clone"


def ours(source: Cluster, dest: Cluster, folder: Path) -> dict[str, float]:
    parts, marks = {}, [time.monotonic()]

    def done(part: str) -> None:
        marks.append(time.monotonic())
        parts[part] = marks[-1] - marks[-2]

    dump.dump(source, folder, jobs=JOBS, check=no_check)
    done("dump")
    dump.verify(folder, jobs=JOBS, check=no_check)
    done("verify")
    dump.restore(dest, folder, jobs=JOBS, check=no_check)
    done("restore")
    dump.analyze(dest, jobs=JOBS, check=no_check)
    done("analyze")
    return parts


def by_hand(source: Cluster, dest: Cluster, folder: Path) -> dict[str, float]:
    """What an operator would type."""
    for argv in (
        [dump.client("pg_dump"), "-Fd", f"--jobs={JOBS}", "--compress=0", f"--file={folder}", source.target],
        [dump.client("pg_restore"), f"--jobs={JOBS}", f"--dbname={dest.target}", str(folder)],
        [dump.client("vacuumdb"), "--analyze-only", f"--jobs={JOBS}", f"--dbname={dest.target}"],
    ):
        # A database may be shut to writes while it is filled.
        env = {**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"}
        subprocess.run(argv, check=True, capture_output=True, env=env)
    return {}


def by_pgcopydb(source: Cluster, dest: Cluster, folder: Path) -> dict[str, float]:
    subprocess.run(
        [
            *("pgcopydb", "clone", f"--source={source.target}", f"--target={dest.target}"),
            *(f"--table-jobs={JOBS}", f"--index-jobs={JOBS}", f"--dir={folder}"),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "PATH": f"{settings.PG_BIN_DIR}:{os.environ['PATH']}"},
    )
    return {}


WAYS: dict[str, Callable[[Cluster, Cluster, Path], dict[str, float]]] = {
    OURS: ours,
    BY_HAND: by_hand,
    PGCOPYDB: by_pgcopydb,
}


def counts(at: Cluster) -> dict[str, int]:
    """Rows by table."""
    with at.connect() as connection:
        names = connection.execute("SELECT relname FROM pg_class WHERE relkind = 'r' AND oid >= 16384").fetchall()
        return {
            name: connection.execute(sql.SQL("SELECT count(*) FROM public.{}").format(sql.Identifier(name))).fetchall()[
                0
            ][0]
            for (name,) in names
        }


def timed(way: str, source: Cluster, dest: Cluster, folder: Path) -> tuple[float, dict[str, float]]:
    """Seconds of one copy into a new database, and of its parts."""
    shutil.rmtree(folder, ignore_errors=True)
    with dest.admin() as admin:
        name = sql.Identifier(dest.dbname)
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(name, name))
        admin.execute("CHECKPOINT")
    try:
        began = time.monotonic()
        parts = WAYS[way](source, dest, folder)
        seconds = time.monotonic() - began
        assert counts(dest) == counts(source)
    finally:
        creation.drop(dest)
        shutil.rmtree(folder, ignore_errors=True)
    return seconds, parts


def test_copy(make_shop: Callable[..., Shop], regions: dict[str, Region], tmp_path: Path) -> None:
    ways = [way for way in WAYS if way != PGCOPYDB or shutil.which("pgcopydb")]
    rows: list[report.Row] = []
    for megabytes in MEGABYTES:
        shop = make_shop(schema=mix(megabytes))
        source, dest = (shop.cluster(regions[slug]) for slug in ("us-east-1", "eu-west-1"))
        with source.connect() as connection:
            connection.execute("VACUUM (ANALYZE)")
        with dest.admin() as admin:
            admin.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(dest.dbname)))
        seconds: dict[str, list[float]] = {way: [] for way in ways}
        parts: list[dict[str, float]] = []
        for run in range(RUNS):
            for turn in range(len(ways)):  # who comes first changes from run to run
                way = ways[(run + turn) % len(ways)]
                took, its_parts = timed(way, source, dest, tmp_path / "copy")
                seconds[way].append(took)
                parts += [its_parts] if its_parts else []
                print(f"{megabytes} MB, run {run + 1}: {way} {took:.2f} s", its_parts)
        theirs = report.median(seconds.get(PGCOPYDB, []))
        size = creation.size_bytes(source) / 10**6
        for way in WAYS:
            if way not in seconds:
                rows.append({"megabytes": round(size), "way": way, "note": "not installed"})
                continue
            median = report.median(seconds[way])
            assert median is not None
            rows.append(
                {
                    "megabytes": round(size),
                    "way": way,
                    "seconds": median,
                    "spread": report.spread(seconds[way]),
                    "speed": theirs / median if theirs else None,
                    "note": "",
                    "runs": seconds[way],
                }
            )
        medians = {part: report.median(run[part] for run in parts) for part in parts[0]}
        rows[-len(WAYS)] |= {"parts": medians, "note": ", ".join(f"{part} {s:.2f}" for part, s in medians.items())}
        if theirs:
            speed = rows[-len(WAYS)]["speed"]
            print(f"{size:.0f} MB: {'as fast as pgcopydb' if speed >= 1 else 'SLOWER than pgcopydb'} ({speed:.2f})")
    with source.connect() as connection:
        server = connection.info.parameter_status("server_version")
    theirs_is = (
        subprocess.run(["pgcopydb", "--version"], capture_output=True, text=True).stdout if PGCOPYDB in ways else ""
    )
    version = theirs_is.split("\n")[0].removeprefix("pgcopydb version ") or None
    report.add("copy", rows, jobs=JOBS, runs=RUNS, postgresql=server, pgcopydb=version)

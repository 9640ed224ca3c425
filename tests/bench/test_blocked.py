"""How long writes are blocked, beside the same copy by hand: pg_dump, pg_restore and vacuumdb one after the other.

BENCH_ROWS: sizes of the table, comma-separated. Each is moved BENCH_RUNS times; medians. Prints a table and writes
`bench.json` into the current folder.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from psycopg import sql
from rich.console import Console
from rich.table import Table

from migrations_app import queries
from migrations_app.dataplane.database import creation, dump
from migrations_app.models import Region
from migrations_app.states import Status
from tests.conftest import Shop, moved

ROWS = [int(text) for text in os.environ.get("BENCH_ROWS", "50000,500000,2000000").split(",")]
RUNS = int(os.environ.get("BENCH_RUNS", "3"))

SCHEMA = """
CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, data jsonb, at timestamptz);
CREATE INDEX ON item (name);
INSERT INTO item (name, data, at)
SELECT md5(n::text), jsonb_build_object('n', n, 'text', repeat(md5(n::text), 3)), now() FROM generate_series(1, {}) n;
"""


def by_hand(shop: Shop, source: Region, dest: Region, folder: Path) -> float:
    """What an operator would type, with as many jobs."""
    shutil.rmtree(folder, ignore_errors=True)
    at, to = shop.cluster(source), shop.cluster(dest)
    with to.admin() as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(to.dbname)))
    jobs = f"--jobs={settings.MOVES_COPY_JOBS}"
    began = time.monotonic()
    for argv in (
        [dump.client("pg_dump"), "-Fd", jobs, "--compress=0", f"--file={folder}", at.target],
        [dump.client("pg_restore"), jobs, "--no-owner", "--no-acl", f"--dbname={to.target}", str(folder)],
        [dump.client("vacuumdb"), "--analyze-only", jobs, f"--dbname={to.target}"],
    ):
        subprocess.run(argv, check=True, capture_output=True)
    seconds = time.monotonic() - began
    creation.drop(to)
    return seconds


def test_blocked_seconds(make_shop: Callable[..., Shop], regions: dict[str, Region], tmp_path: Path) -> None:
    source, dest = regions["us-east-1"], regions["eu-west-1"]
    results: list[dict[str, Any]] = []
    for rows in ROWS:
        runs: list[dict[str, float]] = []
        for _ in range(RUNS):
            shop = make_shop(schema=SCHEMA.format(rows))
            size = creation.size_bytes(shop.cluster(source))
            hand = by_hand(shop, source, dest, tmp_path / "by-hand")
            move = moved(shop.app, dest.slug)
            assert move.status == Status.COMPLETED, move.last_error
            steps = {step["step"]: step["seconds"] for step in queries.steps_of(move)}
            blocked = queries.blocked_seconds(move)
            assert blocked is not None
            copy = steps["dumping_data"] + steps["restoring_data"]
            runs.append({"blocked": blocked, "copy": copy, "pivot": steps["flipping_routing"], "by_hand": hand})
        medians = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        results.append({"rows": rows, "megabytes": size / 10**6, **medians, "runs": runs})
    table = Table(
        "rows", "MB", "blocked s", "of it dump + restore s", "compare + pivot s", "dump + restore by hand s", "ratio"
    )
    for r in results:
        figures = (f"{r[key]:.2f}" for key in ("blocked", "copy", "pivot", "by_hand"))
        table.add_row(str(r["rows"]), f"{r['megabytes']:.0f}", *figures, f"{r['copy'] / r['by_hand']:.2f}")
    Console(width=140).print(table)
    Path("bench.json").write_text(
        json.dumps({"jobs": settings.MOVES_COPY_JOBS, "runs": RUNS, "results": results}, indent=1)
    )

"""Compares the app's database on both sides. Nobody writes on either while it runs.

Per table the number of rows and an order-free hash over all of them; the schema; sequences; large objects; extensions;
the roles; the database's own properties. Counts alone would pass a wrong copy.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable

from django.conf import settings

from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.database.pgoutput import Table
from migrations_app.dataplane.process import Check
from migrations_app.verification.chunks import Chunk, Progress, compare_chunks
from migrations_app.verification.properties import compare_definitions, compare_sequences, compare_unstreamed
from migrations_app.verification.report import Depth, Report
from migrations_app.verification.rows import Digest
from migrations_app.verification.sides import Sides
from migrations_app.verification.tables import Pair, pairs, shapes


def compare(source: Cluster, dest: Cluster, *, jobs: int, check: Check, on_table: Callable[[int, int], None]) -> Report:
    """Compare everything, rows to the depth of MOVES_VERIFICATION_DEPTH. `on_table(done, total)` is called as tables
    finish."""
    began = time.monotonic()
    report = Report(depth=Depth(settings.MOVES_VERIFICATION_DEPTH))
    with Sides(source, dest, size=jobs + 2, check=check) as sides:
        conclude = [compare_definitions(sides), compare_sequences(sides), compare_unstreamed(sides)]
        compare_tables(sides, pairs(*sides.both(shapes)), report, jobs=jobs, on_table=on_table)
        for wait_for in conclude:
            wait_for(report)
    report.seconds = time.monotonic() - began
    return report


def compare_tables(
    sides: Sides,
    tables: list[Pair],
    report: Report,
    *,
    jobs: int,
    on_table: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Compare all rows of tables that nobody writes to, on either side; a finding for each."""
    found: dict[Table, list[Digest]] = defaultdict(lambda: [(0, 0), (0, 0)])
    adding = threading.Lock()
    progress = {pair.name: Progress() for pair in tables if pair.source and pair.dest}

    def on_chunk(chunk: Chunk, *digests: Digest) -> None:
        with adding:
            sums = found[chunk.pair.name]
            sums[:] = [(rows + more, hash_ + on) for (rows, hash_), (more, on) in zip(sums, digests, strict=True)]

    compare_chunks(
        sides,
        [(pair, progress[pair.name]) for pair in tables if pair.name in progress],
        jobs=jobs,
        depth=report.depth,
        on_chunk=on_chunk,
        tick=lambda: on_table(sum(one.mark.done for one in progress.values()), len(progress)),
    )
    for pair in sorted(tables, key=lambda pair: pair.name):
        if pair.name not in progress:
            report.add("table", pair.title, *("there" if shape else "missing" for shape in (pair.source, pair.dest)))
        elif report.depth is not Depth.SCHEMA:
            report.add("table", pair.title, *(f"{rows} rows, hash {hash_}" for rows, hash_ in found[pair.name]))
    report.rows += sum(one.mark.rows for one in progress.values())
    report.chunks += sum(one.mark.compared for one in progress.values())

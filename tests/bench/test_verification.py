"""How long a comparison takes, and what of it falls into the block; one changed byte is found.

VERIFY_ROWS: rows of the table. Prints a line for each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.conf import settings

from migrations_app.dataplane.process import no_check
from migrations_app.verification.comparison import compare
from tests.streaming.conftest import make_pair  # noqa: F401 — a fixture
from tests.streaming.pair import ROWS as FEW_ROWS
from tests.streaming.pair import SCHEMA, Pair, named, writing

ROWS = int(os.environ.get("VERIFY_ROWS", "1000000"))
TOUCHED = 1000


@contextmanager
def timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what}: {time.monotonic() - began:.3f} s")


def test_seconds(make_pair: Callable[[str], Pair]) -> None:  # noqa: F811
    pair = make_pair(SCHEMA.replace(str(FEW_ROWS), str(ROWS)))
    jobs = settings.MOVES_COPY_JOBS
    sides = pair.shop.cluster(pair.primary), pair.shop.cluster(pair.replica)
    print(f"{ROWS} rows, {jobs} jobs")
    with timed("nobody writes, everything compared"):
        assert compare(*sides, jobs=jobs, check=no_check, on_table=lambda done, total: None).equal
    with pair.comparison(jobs=jobs) as comparison:
        with writing(pair):
            comparison.begin()
            comparison.compare_properties()
            with timed("under a writer, rows compared"):
                comparison.compare_rows()
            with timed("under a writer, narrowed"):
                comparison.narrow()
        comparison.narrow()
        assert named(comparison.report()) == []
        pair.write("UPDATE item SET n = -n WHERE id <= %s", TOUCHED)
        pair.drain()
        with timed(f"in the block, {TOUCHED} rows touched since"):
            report = comparison.settle()
        assert (named(report), report.rows_in_block) == ([], TOUCHED)
        with timed("behind the hard fence, nothing touched since"):
            comparison.check_again()
        comparison.end()
    pair.shop.sql(pair.replica, "UPDATE item SET name = name || '!' WHERE id = %s", ROWS // 2)
    with pair.compared(kept={}) as comparison:
        assert f"row public.item (id={ROWS // 2})" in named(comparison.report())
        comparison.end()

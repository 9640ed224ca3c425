"""Compares a primary with its replica at any time, whether the app writes or not. Changes nothing but a slot of its
own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from migrations_app.dataplane.database.connection import Cluster, value
from migrations_app.dataplane.process import Check
from migrations_app.errors import TransientError
from migrations_app.verification.report import Depth, Report
from migrations_app.verification.streaming import StreamingComparison

_PASSES = 5


def compare_anytime(
    primary: Cluster,
    replica: Cluster,
    *,
    stream: str,
    jobs: int,
    depth: Depth,
    check: Check,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """What no stream carries is named, not compared; rows that are written to in each of five passes are counted.

    Errors: TransientError `being_compared` when somebody else does the same; those of StreamingComparison.
    """
    watch = f"{stream}_check"
    with _alone(primary, watch):
        comparison = StreamingComparison(
            primary,
            replica,
            stream=stream,
            watch=watch,
            jobs=jobs,
            depth=depth,
            check=check,
            kept={},
            keep=lambda kept: None,
            on_progress=on_progress,
            retained=True,
        )
        try:
            with comparison:
                comparison.begin()
                comparison.compare_properties()
                comparison.compare_rows()
                for _ in range(_PASSES):
                    if not comparison.narrow():
                        break
                return comparison.report()
        finally:
            comparison.end()


@contextmanager
def _alone(primary: Cluster, name: str) -> Iterator[None]:
    with primary.connect() as connection:
        if not value(connection, "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", name):
            raise TransientError("Both sides are being compared by somebody else already.", code="being_compared")
        yield

"""What the users of the guest book notice of a move, through the edge: requests that fail, are refused or take longer.

BENCH_STRATEGIES: which moves. Each BENCH_RUNS times, after BENCH_QUIET_SECONDS of the same traffic without a move;
sums of what failed or was refused, medians of the rest.
"""

from __future__ import annotations

import os
import statistics
import time
from typing import Any

from django.conf import settings

from migrations_app import actions
from migrations_app.models import App, Region
from migrations_app.states import Status
from portal.sandbox.ledger import Snapshot
from portal.sandbox.traffic import Traffic
from tests.bench import report
from tests.conftest import carry, torn_down
from tests.test_guestbook_move import audited, wait_for_writes

STRATEGIES = os.environ.get("BENCH_STRATEGIES", "snapshot,live").split(",")
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
QUIET_SECONDS = float(os.environ.get("BENCH_QUIET_SECONDS", "10"))

_COUNTS = ("reads", "failed_reads", "acknowledged", "refused", "unknown")
_LATENCIES = ("read_p50", "read_p99", "write_p50", "write_p99")


def traffic(app: App) -> Traffic:
    return Traffic(settings.EDGE_PUBLIC_URLS[0], app.hostname, readers=2, writers=2)


def quiet(app: App) -> Snapshot:
    """The same traffic, while nothing moves."""
    with traffic(app) as seen:
        time.sleep(QUIET_SECONDS)
    return seen.snapshot()


def under_move(app: App, dest: Region, strategy: str) -> tuple[Snapshot, float]:
    """What the traffic saw of a move, and for how many seconds writes were blocked. No acknowledged write is lost."""
    with traffic(app) as seen:
        wait_for_writes(seen, 5)
        move = carry(
            actions.request_move(
                app_slug=app.slug, dest_slug=dest.slug, acting_user=None, reason="a bench", strategy=strategy
            )
        )
        assert move.status == Status.COMPLETED, move.last_error
        wait_for_writes(seen, seen.snapshot().acknowledged + 5)
    assert audited(app, seen.ledger).ok
    torn_down(move)
    blocked = move.blocked_seconds
    assert blocked is not None
    return seen.snapshot(), blocked


def summed_up(strategy: str, when: str, seen: list[Snapshot]) -> report.Row:
    latencies = {key: 1000 * statistics.median(getattr(one, key) or 0.0 for one in seen) for key in _LATENCIES}
    counts: dict[str, Any] = {key: sum(getattr(one, key) for one in seen) for key in _COUNTS}
    return {"strategy": strategy, "when": when, **counts, **latencies}


def test_edge(app: App, us: Region, eu: Region) -> None:
    rows: list[report.Row] = []
    for strategy in STRATEGIES:
        calm: list[Snapshot] = []
        moving: list[Snapshot] = []
        blocks: list[float] = []
        for run in range(RUNS):
            app.refresh_from_db()
            calm.append(quiet(app))
            seen, blocked = under_move(app, eu if app.region == us else us, strategy)
            moving.append(seen)
            blocks.append(blocked)
            print(f"{strategy}, run {run + 1}: blocked {blocked:.2f} s, {seen}")
        rows.append(summed_up(strategy, "quiet", calm))
        rows.append(summed_up(strategy, "in the move", moving) | {"blocked": statistics.median(blocks)})
    report.add("edge", rows, runs=RUNS, quiet_seconds=QUIET_SECONDS)

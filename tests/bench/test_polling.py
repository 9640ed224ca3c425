"""Fifty clients that ask once a second where a move stands: how soon they are answered, and whether the move notices.

BENCH_RUNS: how many moves with them, and as many without, in turns. BENCH_CLIENTS: how many clients.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

from django.contrib.auth.models import User
from django.utils import timezone

from migrations_app import tokens
from migrations_app.models import App, Region
from migrations_app.states import Scope, Strategy
from tests.bench import report
from tests.bench.load import Seen, drive
from tests.bench.test_edge import under_move
from tests.bench.web import serving
from tests.people import person

RUNS = int(os.environ.get("BENCH_RUNS", "3"))
CLIENTS = int(os.environ.get("BENCH_CLIENTS", "50"))
_SECONDS = 20
"""Longer than a move of the guest book takes."""


def _token(user: User, number: int) -> dict[str, str]:
    _, secret = tokens.make(
        user=user,
        name=f"client {number}",
        scopes=[Scope.READ],
        expires_at=timezone.now() + timedelta(days=1),
        acting_user=user,
    )
    return {"Authorization": f"Bearer {secret}"}


def _row(when: str, seen: list[Seen], blocked: list[float]) -> report.Row:
    row: report.Row = {"when": when, "blocked": report.median(blocked)}
    if seen:
        row |= {name: sum(getattr(one, name) for one in seen) for name in ("requests", "failed")}
        row |= {name: report.median(getattr(one, name) for one in seen) for name in ("p50", "p95", "longest")}
    return row


def test_polling(app: App, us: Region, eu: Region) -> None:
    reader = person("reader", "Operator")  # sees every team's apps
    clients = [_token(reader, number) for number in range(CLIENTS)]
    calm: list[Seen] = []
    moving: list[Seen] = []
    blocks: dict[bool, list[float]] = {True: [], False: []}
    with serving() as address, ThreadPoolExecutor(1) as beside:
        poll = partial(drive, address, [f"/v1/apps/{app.slug}/migrations/active"], headers=clients, rate=CLIENTS)
        poll(seconds=2)  # connections are made once
        for is_polled in [False, True] * RUNS:
            app.refresh_from_db()
            if not is_polled:
                calm.append(poll(seconds=_SECONDS))
            polls = beside.submit(poll, seconds=_SECONDS) if is_polled else None
            blocks[is_polled].append(under_move(app, eu if app.region == us else us, Strategy.LIVE)[1])
            if polls:
                assert not polls.done(), "the move took longer than the polls"
                moving.append(polls.result())
    rows = [
        _row("asked while nothing moves", calm, []),
        _row("asked during a live move", moving, blocks[True]),
        _row("a live move that nobody asks about", [], blocks[False]),
    ]
    assert not any(one.failed for one in [*calm, *moving])
    report.add("polling", rows, clients=CLIENTS, runs=RUNS)

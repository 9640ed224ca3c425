"""How long writes are blocked while an app writes on: per strategy, and beside it the least that any tool could do.

    floor       fence, drain, sequences, open: between two databases that a subscription keeps equal already
    by hand     fence, pg_dump, pg_restore, vacuumdb, open

BENCH_MEGABYTES: sizes of the database. BENCH_STRATEGIES: which moves. BENCH_RATE: write transactions a second.
Each BENCH_RUNS times; medians.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from psycopg import sql
from psycopg.conninfo import make_conninfo

from migrations_app import actions, published
from migrations_app.dataplane.database import creation, dump
from migrations_app.dataplane.database.connection import Cluster, rows, value
from migrations_app.dataplane.process import no_check
from migrations_app.models import Region
from migrations_app.states import Status
from tests.bench import report
from tests.bench.data import mix
from tests.bench.test_copy import by_hand
from tests.bench.writer import NOTE, Writer
from tests.conftest import Shop, carry, torn_down
from tests.waiting import wait_until

MEGABYTES = report.numbers("BENCH_MEGABYTES", "100,500,2000")
STRATEGIES = os.environ.get("BENCH_STRATEGIES", "snapshot,live").split(",")
RATE = int(os.environ.get("BENCH_RATE", "300"))
RUNS = int(os.environ.get("BENCH_RUNS", "3"))

STREAM = "bench"
_READ_ONLY = sql.SQL("ALTER DATABASE {} {} default_transaction_read_only")


@contextmanager
def destination(shop: Shop, dest: Cluster) -> Iterator[None]:
    """An empty database that is shut to writes, and the app's role."""
    name = sql.Identifier(dest.dbname)
    with dest.admin() as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, sql.Literal(shop.password)))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(name, name))
        admin.execute(sql.SQL("{} = on").format(_READ_ONLY.format(name, sql.SQL("SET"))))
    try:
        yield
    finally:
        creation.drop(dest)
        with dest.admin() as admin:
            admin.execute(sql.SQL("DROP ROLE {}").format(name))


@contextmanager
def subscribed(shop: Shop, source: Cluster, dest: Cluster, folder: Path) -> Iterator[None]:
    """`dest` has all that `source` has, and a subscription keeps it so."""
    owner = sql.Identifier(source.dbname)
    dump.dump(source, folder, jobs=2, check=no_check)
    dump.restore(dest, folder, jobs=2, check=no_check)
    line = make_conninfo(source.from_regions, dbname=source.dbname, user=source.dbname, password=shop.password)
    with source.connect() as at_source, dest.connect() as at_dest:
        at_source.execute(sql.SQL("ALTER ROLE {} REPLICATION").format(owner))
        at_source.execute(sql.SQL("CREATE PUBLICATION {} FOR ALL TABLES").format(sql.Identifier(STREAM)))
        # Nobody writes yet: what was dumped is what the slot begins with.
        value(at_source, "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", STREAM)
        at_dest.execute(
            sql.SQL(
                "CREATE SUBSCRIPTION {0} CONNECTION {1} PUBLICATION {0} "
                "WITH (create_slot = false, copy_data = false, origin = none, streaming = parallel)"
            ).format(sql.Identifier(STREAM), sql.Literal(line))
        )
        try:
            wait_until(lambda: value(at_source, "SELECT active FROM pg_replication_slots WHERE slot_name = %s", STREAM))
            yield
        finally:
            creation.drop_subscription(at_dest, STREAM)
            with source.admin() as admin:
                # A walsender needs a moment to see that its subscription is gone.
                wait_until(
                    lambda: not value(admin, "SELECT active FROM pg_replication_slots WHERE slot_name = %s", STREAM)
                )
                value(admin, "SELECT pg_drop_replication_slot(%s)", STREAM)
            at_source.execute(sql.SQL("DROP PUBLICATION {}").format(sql.Identifier(STREAM)))
            at_source.execute(sql.SQL("ALTER ROLE {} NOREPLICATION").format(owner))


def fence(at: psycopg.Connection[Any], dbname: str) -> None:
    at.execute(sql.SQL("{} = on").format(_READ_ONLY.format(sql.Identifier(dbname), sql.SQL("SET"))))
    rows(
        at,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = %s AND usename = %s AND backend_type = 'client backend'",
        dbname,
        dbname,
    )


def lift(at: psycopg.Connection[Any], dbname: str) -> None:
    at.execute(_READ_ONLY.format(sql.Identifier(dbname), sql.SQL("RESET")))


def floor_of(source: Cluster, dest: Cluster) -> float:
    """Seconds from the fence until the other side is open, between two databases with a running subscription."""
    with source.connect() as at_source, dest.connect() as at_dest:
        began = time.monotonic()
        fence(at_source, source.dbname)
        lsn = value(at_source, "SELECT pg_current_wal_lsn()::text")
        drained = "SELECT confirmed_flush_lsn >= %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s"
        while not value(at_source, drained, lsn, STREAM):
            time.sleep(0.001)
        for name, last in rows(
            at_source, "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences"
        ):
            value(at_dest, "SELECT setval(%s::regclass, %s)", name, last or 1)
        lift(at_dest, dest.dbname)
        return time.monotonic() - began


def stopped_and_copied(source: Cluster, dest: Cluster, folder: Path) -> float:
    """Seconds from the fence until the other side is open, when all data is copied in between."""
    shutil.rmtree(folder, ignore_errors=True)
    with source.connect() as at_source, dest.connect() as at_dest:
        began = time.monotonic()
        fence(at_source, source.dbname)
        by_hand(source, dest, folder)
        lift(at_dest, dest.dbname)
        return time.monotonic() - began


def measured(shop: Shop, source: Cluster, dest: Cluster, act: Callable[[], float]) -> report.Row:
    """`act` under writes; the seconds it tells, and what the writer saw. Every acknowledged write is there after."""
    before = value_at(source)
    name, password = shop.app.database, shop.password
    with Writer([source.target, dest.target], user=name, password=password, rate=RATE) as writer:
        seconds = act()
        arrived = value_at(dest)
        wait_until(lambda: value_at(dest) > arrived, 60)
    written = writer.written
    assert written.acknowledged // 2 <= value_at(dest) - before <= written.tried // 2 + 1
    return {"seconds": seconds, "gap": written.longest_gap_seconds, "rate": written.per_second}


def value_at(at: Cluster) -> int:
    """How many rows the writer has there."""
    with at.connect() as connection:
        return value(connection, "SELECT count(*) FROM public.ledger WHERE note = %s", NOTE)


def of_move(shop: Shop, source: Cluster, dest: Cluster, region: Region, strategy: str) -> report.Row:
    parts: dict[str, float] = {}

    def move() -> float:
        shop.app.refresh_from_db()
        requested = actions.request_move(
            app_slug=shop.app.slug, dest_slug=region.slug, acting_user=None, reason="a bench", strategy=strategy
        )
        done = carry(requested)
        assert done.status == Status.COMPLETED, done.last_error
        parts.update({step["step"]: step["seconds"] for step in published.steps_of(done) if step["seconds"]})
        blocked = done.blocked_seconds
        assert blocked is not None
        moves.append(done)
        return blocked

    moves: list[Any] = []
    row = measured(shop, source, dest, move)
    torn_down(moves[0])
    return row | {"parts": parts}


def one_run(shop: Shop, regions: list[Region], folder: Path) -> Iterator[tuple[str, report.Row]]:
    """Each way once. Every move leaves the app in the other region; the next one takes it back."""
    here, there = (shop.cluster(region) for region in regions)
    with destination(shop, there), subscribed(shop, here, there, folder):
        yield "floor", measured(shop, here, there, lambda: floor_of(here, there))
    with here.admin() as admin:
        lift(admin, here.dbname)
    with destination(shop, there):
        yield "by hand", measured(shop, here, there, lambda: stopped_and_copied(here, there, folder))
    with here.admin() as admin:
        lift(admin, here.dbname)
    for strategy in STRATEGIES:
        here, there = (shop.cluster(region) for region in regions)
        yield strategy, of_move(shop, here, there, regions[1], strategy)
        regions = regions[::-1]


def test_blocked_seconds(make_shop: Callable[..., Shop], us: Region, eu: Region, tmp_path: Path) -> None:
    table: list[report.Row] = []
    for megabytes in MEGABYTES:
        runs: dict[str, list[report.Row]] = {}
        for number in range(RUNS):
            shop = make_shop(schema=mix(megabytes))
            size = round(creation.size_bytes(shop.cluster(us)) / 10**6)
            for way, row in one_run(shop, [us, eu], tmp_path / "copy"):
                print(f"{megabytes} MB, run {number + 1}: {way}", row)
                runs.setdefault(way, []).append(row)
            for region in (us, eu):
                creation.drop(shop.cluster(region))
        for way, its in runs.items():
            medians = {key: statistics.median(row[key] for row in its) for key in ("seconds", "gap", "rate")}
            spread = report.spread([row["seconds"] for row in its])
            table.append({"megabytes": size, "way": way, **medians, "spread": spread, "runs": its})
    report.add("blocked", table, jobs=settings.MOVES_COPY_JOBS, runs=RUNS, writes_a_second=RATE)

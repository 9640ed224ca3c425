"""How far a move is: bytes and rows, rate and time left, table by table, at little cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from migrations_app import actions, published
from migrations_app.dataplane import blobs, process
from migrations_app.dataplane.database import copy_progress, stream
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.engine.journal import Journal
from migrations_app.engine.lease import claim
from migrations_app.errors import AbortRequested, StepError
from migrations_app.models import App, AppMigration, Region, StepRun
from migrations_app.progress import Meter, TableProgress, sentence
from migrations_app.states import Direction, RunStatus, Status, Step
from tests import on_paper
from tests.conftest import Shop, carry, moved
from tests.waiting import wait_until

LARGE = """
CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, note text NOT NULL);
CREATE INDEX ON item (name);
CREATE TABLE event (at timestamptz NOT NULL DEFAULT now(), what text);
CREATE TABLE empty (id int PRIMARY KEY);
INSERT INTO item SELECT n, 'item ' || n, repeat(md5(n::text), 4) FROM generate_series(1, 350000) n;
INSERT INTO event (what) SELECT 'event ' || n FROM generate_series(1, 50000) n;
"""


@pytest.fixture
def large(make_shop: Callable[..., Shop], us: Region) -> Shop:
    shop = make_shop(schema=LARGE)
    count = "SELECT pg_stat_get_live_tuples('item'::regclass) + pg_stat_get_live_tuples('event'::regclass)"
    wait_until(lambda: shop.sql(us, count) == [(400000,)])  # what the estimates of a dump go by
    return shop


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[tuple[float, dict[str, Any]]]]:
    """Every progress that was written: step → [(seconds on a clock that only counts, what)]."""
    written: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    take = Meter.take

    def take_and_note(self: Meter, at: float, *args: Any, **details: Any) -> dict[str, Any] | None:
        found = take(self, at, *args, **details)
        if found:
            step = StepRun.objects.get(status=RunStatus.RUNNING).step
            written.setdefault(step, []).append((at, found))
        return found

    monkeypatch.setattr(Meter, "take", take_and_note)
    return written


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks and writes are as frequent as can be, for copies that are soon over."""
    monkeypatch.setattr(process, "_POLL_SECONDS", 0.005)
    monkeypatch.setattr(copy_progress, "_PAUSE_SECONDS", 0.005)
    monkeypatch.setattr(copy_progress, "_SHARE_OF_TIME", 1)
    monkeypatch.setattr("migrations_app.progress.WRITE_SECONDS", 0.01)


@pytest.mark.usefixtures("often")
def test_rows_and_bytes_of_each_table_grow_to_the_end(
    large: Shop, us: Region, kept: dict[str, list[tuple[float, dict[str, Any]]]]
) -> None:
    move = moved(large.app, "eu-west-1")
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    size = {name: large.sql(us, "SELECT pg_table_size(%s::regclass)", name)[0][0] for name in ("item", "event")}
    for step in (Step.DUMPING_DATA, Step.RESTORING_DATA):
        told = [progress for _, progress in kept[step]]
        assert len(told) > 3
        for what in ("done", "rows"):
            values = [progress[what] for progress in told]
            assert values == sorted(values)
            assert len({value for value in values if 0 < value < values[-1]}) > 0, f"{what} of {step} did not grow"
        last = told[-1]
        assert (last["unit"], last["done"], last["rows"]) == ("bytes", last["total"], 400000)
        assert any(progress["rate"] > 0 and progress["seconds_left"] for progress in told)
        assert any(progress["tables"]["public.item"]["state"] == "copying" for progress in told)
        assert all(table["done"] <= table["total"] for progress in told for table in progress["tables"].values())
        tables = last["tables"]
        assert tables.keys() == {"public.item", "public.event", "public.empty"}
        assert (tables["public.item"]["rows"], tables["public.event"]["rows"]) == (350000, 50000)
        assert {table["state"] for table in tables.values()} == {"done"}
        run = move.step_runs.get(step=step)
        assert (run.progress, run.progress_done, run.progress_total) == (last, last["total"], last["total"])
    dumped, restored = (move.step_runs.get(step=step).progress["tables"] for step in ("dumping_data", "restoring_data"))
    for tables in (dumped, restored):
        assert tables["public.event"]["total"] == pytest.approx(size["event"], rel=0.05)  # it has no index
    assert dumped["public.item"]["total"] == pytest.approx(size["item"], rel=0.05)
    assert restored["public.item"]["total"] > 1.2 * size["item"]


def test_of_a_copy_that_is_over_at_once_everything_is_told(shop: Shop) -> None:
    move = moved(shop.app, "eu-west-1")
    for step in (Step.DUMPING_DATA, Step.RESTORING_DATA):
        run = move.step_runs.get(step=step)
        assert (run.progress["rows"], run.progress["tables"]["public.item"]["rows"]) == (502, 500)
        assert run.progress_done == run.progress_total == run.progress["total"] > 0


@pytest.mark.usefixtures("often")
def test_a_session_that_cannot_ask_fails_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = stream.briefly
    refused: list[str] = []

    @contextmanager
    def note_errors(at: Cluster) -> Iterator[psycopg.Connection[Any]]:
        try:
            with asked(at) as session:
                yield session
        except StepError as error:
            refused.append(error.code)
            raise

    monkeypatch.setattr(copy_progress, "briefly", note_errors)
    monkeypatch.setattr(copy_progress, "_COPIES", "SELECT 1 / 0 WHERE %(session)s <> ''")
    move = moved(shop.app, "eu-west-1")
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert set(refused) == {"database_22012"}
    assert len(refused) > 2, "it is asked again"
    assert move.step_runs.get(step=Step.DUMPING_DATA).progress == {}


@pytest.mark.usefixtures("often")
def test_a_session_that_is_ended_is_followed_by_another(
    large: Shop, us: Region, kept: dict[str, list[tuple[float, dict[str, Any]]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    look = copy_progress.Copying._look
    ended: list[list[Any]] = []

    def end_then_look(self: copy_progress.Copying, session: psycopg.Connection[Any]) -> None:
        if len(ended) < 2:
            ended.append(large.sql(us, "SELECT pg_terminate_backend(%s)", session.info.backend_pid))
        look(self, session)

    monkeypatch.setattr(copy_progress.Copying, "_look", end_then_look)
    move = moved(large.app, "eu-west-1")
    assert (move.status, move.last_error, ended) == (Status.COMPLETED, "", [[(True,)]] * 2)
    assert kept[Step.DUMPING_DATA][-1][1]["rows"] == 400000


def test_a_move_that_is_aborted_leaves_nobody_asking(large: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    move = actions.request_move(app_slug=large.app.slug, dest_slug="eu-west-1", acting_user=None, reason="a test")
    asking: list[set[str]] = []

    def abort(self: copy_progress.Copying, tables: object) -> None:
        asking.append({thread.name for thread in threading.enumerate()})
        actions.abort(move_id=move.pk, acting_user=None, reason="a test")
        raise AbortRequested

    monkeypatch.setattr(copy_progress.Copying, "_pass_on", abort)
    assert carry(move).status == Status.ABORTED
    assert ["copy-progress" in names for names in asking] == [True]
    assert "copy-progress" not in {thread.name for thread in threading.enumerate()}


def test_blobs_are_counted_in_bytes(shop: Shop, us: Region, eu: Region, tmp_path: Path) -> None:
    name = shop.app.database.replace("_", "-")
    for number in range(3):
        (tmp_path / f"{number}.bin").write_bytes(b"x" * 1000)
    buckets = [blobs.join(region.blobs, name) for region in (us, eu)]
    blobs.make(buckets[0])
    blobs.sync(str(tmp_path), buckets[0])
    App.objects.filter(pk=shop.app.pk).update(blobs=name)
    try:
        run = moved(shop.app, "eu-west-1").step_runs.get(step=Step.COPYING_BLOBS)
    finally:
        for bucket in buckets:
            blobs.purge(bucket)
    assert (run.progress_done, run.progress_total, run.progress_unit) == (3000, 3000, "bytes")
    assert run.progress["blobs"] == {"done": 3, "total": 3}
    assert sentence(run.progress) == "3.0 kB of 3.0 kB, 3 of 3 blobs"


def test_a_stream_tells_its_lag(shop: Shop, us: Region, eu: Region) -> None:
    name = moved(shop.app, "eu-west-1").name_in_regions
    primary = shop.cluster(eu)
    wait_until(lambda: stream.look_at_slot(primary, name).lag_bytes == 0)
    with shop.cluster(us).connect() as blocker:
        blocker.execute("BEGIN; SELECT 1 FROM public.item WHERE id = 7 FOR UPDATE")
        shop.sql(eu, "UPDATE item SET name = 'late' WHERE id = 7")
        wait_until(lambda: stream.look_at_slot(primary, name).lag_bytes > 0)
        assert stream.look_at_slot(primary, name).lag_seconds is not None
        blocker.execute("COMMIT")
    wait_until(lambda: stream.look_at_slot(primary, name).lag_bytes == 0)
    assert stream.look_at_slot(primary, "other").wal_status == stream.MISSING


# -- what is written ----------------------------------------------------------------------------------------------


@pytest.fixture
def journal(transactional_db: None) -> Iterator[Journal]:
    """Of a move that dumps."""
    lease = claim(AppMigration.objects.all(), on_paper.move(on_paper.app("shop"), status=Status.RUNNING).pk)
    assert lease
    made = Journal(lease)
    made.begin(Step.DUMPING_DATA, Direction.DO)
    yield made
    lease.release()


def test_little_is_written_however_often_is_told(journal: Journal) -> None:
    with CaptureQueriesContext(connection) as queries_made:
        began = time.monotonic()
        for done in range(2000):
            journal.progress(done, 2000, "rows", rows=done)
        seconds = time.monotonic() - began
        journal.progress(2000, 2000, "rows", rows=2000)
        journal.progress(2000, 2000, "rows", rows=2000)
    updates = [query for query in queries_made if query["sql"].startswith("UPDATE")]
    assert len(updates) <= 2 + seconds  # the first, the end, and one a second
    run = StepRun.objects.get()
    assert (run.progress_done, run.progress_total, run.progress["rows"]) == (2000, 2000, 2000)


def test_every_try_is_counted_anew(journal: Journal) -> None:
    journal.progress(50, 100, "bytes")
    journal.end(RunStatus.FAILED)
    journal.begin(Step.DUMPING_DATA, Direction.DO)
    journal.progress(10, 100, "bytes")
    assert [run.progress_done for run in StepRun.objects.order_by("id")] == [50, 10]


def taken(meter: Meter, at: float, done: int, total: int, unit: str, **details: Any) -> dict[str, Any]:
    kept = meter.take(at, done, total, unit, **details)
    assert kept
    return kept


def test_rate_and_time_left_are_those_of_the_last_ten_seconds() -> None:
    meter = Meter()
    assert [taken(meter, at, done, 1000, "bytes")["rate"] for at, done in [(0, 0), (1, 100), (2, 200)]] == [0, 100, 100]
    assert meter.take(2.5, 210, 1000, "bytes") is None
    for at in range(3, 20):
        kept = taken(meter, at, 200 + 10 * at, 1000, "bytes")
    assert (kept["rate"], kept["seconds_left"]) == (10, 61)
    stalled = [taken(meter, at, 390, 1000, "bytes") for at in range(20, 31)][-1]
    assert (stalled["rate"], stalled["seconds_left"]) == (0, None)


def test_another_count_begins_a_new_rate_and_the_end_is_written_at_once() -> None:
    meter = Meter()
    taken(meter, 0, 0, 100, "bytes")
    taken(meter, 1, 90, 100, "bytes")
    assert taken(meter, 1.1, 1, 9, "tables")["rate"] == 0
    assert taken(meter, 2.1, 3, 9, "tables")["rate"] == 2
    assert taken(meter, 3.1, 0, 9, "tables")["rate"] == 0
    end = taken(meter, 3.2, 12, 9, "tables")
    assert (end["done"], end["total"], end["seconds_left"]) == (9, 9, None)
    assert meter.take(3.3, 9, 9, "tables") is None


def test_of_very_many_tables_those_at_work_and_the_largest_are_kept() -> None:
    tables = {f"public.t{n}": TableProgress(done=0, total=n, rows=0, state="waiting") for n in range(1000)}
    tables["public.t3"] = TableProgress(done=1, total=3, rows=1, state="copying")
    kept = taken(Meter(), 0, 0, 1, "bytes", tables=tables)["tables"]
    assert kept.keys() == {"public.t3"} | {f"public.t{n}" for n in range(951, 1000)}


def test_it_is_worded_for_people() -> None:
    meter = Meter()
    assert sentence({}) == ""
    assert sentence(taken(meter, 0, 1200, 5000, "rows")) == "1,200 of 5,000 rows"
    taken(meter, 1, 0, 10**9, "bytes")
    kept = taken(meter, 2, 5 * 10**6, 10**9, "bytes", rows=12345, lag=(4096, 0.25))
    assert sentence(kept) == ("5.0 MB of 1.0 GB, 12,345 rows, 5.0 MB/s, 3 min 19 s left, lag 4.1 kB (0.2 s)")


def test_samples_follow_rate_and_lag_from_when_the_run_began() -> None:
    meter = Meter(1000)
    assert taken(meter, 1001, 0, 500, "bytes")["samples"] == [], "no rate is known yet"
    taken(meter, 1002, 0, 500, "bytes")
    kept = taken(meter, 1003, 100, 500, "bytes", lag=(70, 0.5))
    assert kept["samples"] == [[2, 0, None], [3, 50, 70]]
    assert taken(meter, 1004, 1, 9, "rows")["samples"] == kept["samples"], "neither bytes nor a stream"
    assert taken(meter, 1005, 2, 9, "rows", lag=(30, 0.1))["samples"][-1] == [5, None, 30]


def test_samples_thin_out_and_cover_a_run_of_any_length() -> None:
    meter = Meter()
    hours = 6 * 3600
    most, kept = 0, []
    for at in range(hours):
        kept = taken(meter, at, 10 * at, 10**9, "bytes")["samples"]
        most = max(most, len(kept))
    times = [at for at, _, _ in kept]
    gaps = {later - before for before, later in pairwise(times)}
    assert most == 120
    assert (times[0], gaps) == (1, {256})
    assert hours - times[-1] <= 256


def test_what_was_written_is_not_changed_by_what_comes_later() -> None:
    meter = Meter()
    taken(meter, 0, 0, 10, "bytes")
    first = taken(meter, 1, 1, 10, "bytes")["samples"]
    taken(meter, 2, 2, 10, "bytes")
    assert first == [[1, 1, None]]


def test_a_run_keeps_its_samples_and_the_next_try_has_its_own(journal: Journal) -> None:
    journal.progress(50, 100, "bytes", lag=(9, None))
    journal.end(RunStatus.FAILED)
    journal.begin(Step.DUMPING_DATA, Direction.DO)
    journal.progress(10, 100, "bytes", lag=(5, None))
    samples = [run.progress["samples"] for run in StepRun.objects.order_by("id")]
    assert [[lag for _, _, lag in of] for of in samples] == [[9], [5]]
    assert all(0 <= seconds < 60 for of in samples for seconds, _, _ in of)


def test_the_published_progress_has_no_samples(journal: Journal) -> None:
    journal.progress(1, 4, "bytes")
    details = published.describe_move(journal.row)["progress"]["details"]
    assert details.keys() == StepRun.objects.get().progress.keys() - {"samples"}
    assert all("samples" not in (step["details"] or {}) for step in published.steps_of(journal.row))


def test_the_published_progress_carries_the_details(journal: Journal) -> None:
    assert published.describe_move(journal.row)["progress"]["details"] is None
    journal.progress(1, 4, "bytes", rows=7)
    shown = published.describe_move(journal.row)["progress"]
    assert (shown["current"], shown["details"]["rows"], shown["steps_total"]) == (0.25, 7, 11)

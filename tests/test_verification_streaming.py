"""The comparison while a stream runs and the app writes: it finds what is wrong, and nothing else."""

from __future__ import annotations

import io
import json
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from django.conf import LazySettings, settings
from django.core.management import call_command
from django.db.models.functions import Now
from psycopg import sql

from migrations_app import orphans
from migrations_app.dataplane.database import identity, proof, replication, touched, tripwire
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.process import no_check
from migrations_app.errors import AbortRequested, LeaseLost, TransientError
from migrations_app.models import AppMigration, Region, SourceReplica
from migrations_app.states import Status
from migrations_app.verification import anytime, chunks, rows, state, streaming
from migrations_app.verification.report import Depth, Report
from migrations_app.verification.streaming import StreamingComparison
from tests.conftest import Shop, moved, torn_down
from tests.waiting import wait_until

ROWS = 30_000
SCHEMA = f"""
CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, n int NOT NULL DEFAULT 0);
INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, {ROWS}) n;
CREATE TABLE log (at timestamptz NOT NULL DEFAULT now(), what text);
INSERT INTO log (what) VALUES ('began');
CREATE SEQUENCE ticket;
CREATE UNLOGGED TABLE scratch (n int);
CREATE INDEX item_name ON item (name);
GRANT SELECT ON item TO PUBLIC;
"""

DAMAGE = {
    "one changed byte": ("UPDATE item SET name = 'item 2777?' WHERE id = 27777", "row public.item (id=27777)"),
    "one missing row": ("DELETE FROM item WHERE id = 499", "row public.item (id=499)"),
    "one extra row": (f"INSERT INTO item VALUES ({ROWS + 7}, 'x')", f"row public.item (id={ROWS + 7})"),
    "one extra row before the first": ("INSERT INTO item VALUES (-70000000, 'x')", "row public.item (id=-70000000)"),
    "an index missing": ("DROP INDEX item_name", "schema item_name"),
    "a grant lost": ("REVOKE SELECT ON item FROM PUBLIC", "schema TABLE item"),
}
WHILE_BLOCKED = {
    "a sequence behind": ("SELECT setval('ticket', 17)", "sequence public.ticket"),
    "an unlogged table's row": ("INSERT INTO scratch VALUES (1)", "table public.scratch"),
}
"""What no stream carries; looked at when nobody writes."""


@dataclass
class Pair:
    """A shop that lives in `primary`; a stream keeps `replica` current."""

    shop: Shop
    move: AppMigration
    primary: Region
    replica: Region
    kept: dict[str, Any] = field(default_factory=dict)

    def keep(self, kept: dict[str, Any]) -> None:
        self.kept = json.loads(json.dumps(kept))

    def comparison(self, **options: Any) -> StreamingComparison:
        name = self.move.name_in_regions
        return StreamingComparison(
            self.shop.cluster(self.primary),
            self.shop.cluster(self.replica),
            stream=name,
            watch=f"{name}_watch",
            **{"jobs": 2, "depth": Depth.FULL, "check": no_check, "kept": self.kept, "keep": self.keep, **options},
        )

    @contextmanager
    def compared(self, **options: Any) -> Iterator[StreamingComparison]:
        """Begun and gone through once."""
        with self.comparison(**options) as comparison:
            comparison.begin()
            comparison.compare_properties()
            comparison.compare_rows()
            yield comparison

    def write(self, statement: str, *params: Any) -> None:
        with self.shop.connect(self.primary) as app:
            app.execute(statement, params or None)

    def drain(self) -> None:
        """The sentinel is laid as a reverse does: the proof of the drain needs it."""
        primary, replica = self.shop.cluster(self.primary), self.shop.cluster(self.replica)
        name = self.move.name_in_regions
        proof.lay_sentinel(primary, replica, name)
        proof.drain(primary, replica, name, proof.position(primary), deadline_seconds=30, check=no_check)

    def slots(self) -> list[str]:
        with self.shop.cluster(self.primary).admin() as admin:
            found = admin.execute(
                "SELECT slot_name FROM pg_replication_slots WHERE database = %s ORDER BY 1", [self.shop.app.database]
            ).fetchall()
        return [slot for (slot,) in found]


@pytest.fixture
def make_pair(make_shop: Callable[..., Shop], us: Region, eu: Region) -> Callable[[str], Pair]:
    """What a move from us to eu leaves, without its fences; itself it is on paper: a real one takes thrice as long."""

    def make(schema: str) -> Pair:
        shop = make_shop(eu.slug, schema)
        primary, replica = shop.cluster(eu), shop.cluster(us)
        move = AppMigration.objects.create(
            app=shop.app, source_region=us, dest_region=eu, status=Status.COMPLETED, pivot_at=Now(), completed_at=Now()
        )
        SourceReplica.objects.create(migration=move, app=shop.app, region=us)
        copy_to(replica, primary)
        for side in (replica, primary):
            identity.give_identity(side, identity.missing_identity(side), check=no_check)
        replication.publish(primary, move.name_in_regions)
        replication.make_slot(primary, move.name_in_regions)
        replication.subscribe(primary, replica, move.name_in_regions)
        wait_until(lambda: proof.is_streaming(primary, move.name_in_regions))
        return Pair(shop, move, primary=eu, replica=us)

    return make


def copy_to(copy: Cluster, original: Cluster) -> None:
    """Make the database, with its owner."""
    owner = sql.Identifier(copy.dbname)
    with original.admin() as admin:
        row = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [copy.dbname]).fetchone()
    assert row
    with copy.admin() as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, sql.Literal(row[0])))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(owner, owner))
    dumped = subprocess.run(
        [f"{settings.PG_BIN_DIR}/pg_dump", f"--dbname={original.target}"], capture_output=True, check=True
    )
    subprocess.run(
        [f"{settings.PG_BIN_DIR}/psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", f"--dbname={copy.target}"],
        input=dumped.stdout,
        capture_output=True,
        check=True,
    )


@pytest.fixture
def pair(make_pair: Callable[[str], Pair]) -> Pair:
    return make_pair(SCHEMA)


@contextmanager
def writing(pair: Pair) -> Iterator[None]:
    """Somebody writes random rows as fast as he can."""
    stop, count = threading.Event(), [0]

    def write() -> None:
        chance = random.Random(1)
        with pair.shop.connect(pair.primary) as app:
            while not stop.is_set():
                id_ = chance.randrange(1000, 25_000)
                match chance.randrange(4):
                    case 0:
                        app.execute("DELETE FROM item WHERE id = %s", [id_])
                        app.execute("INSERT INTO item VALUES (%s, 'again')", [id_])
                    case 1:
                        app.execute("UPDATE item SET id = -id WHERE id = %s", [id_])
                        app.execute("UPDATE item SET id = -id WHERE id = %s", [-id_])
                    case 2:
                        app.execute("INSERT INTO log (what) VALUES ('more')")
                    case _:
                        app.execute("UPDATE item SET n = n + 1 WHERE id BETWEEN %s AND %s", [id_, id_ + 20])
                count[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        wait_until(lambda: count[0])
        yield
    finally:
        stop.set()
        thread.join()


def named(report: Report) -> list[str]:
    return [f"{finding.kind} {finding.name}" for finding in report.differences]


def verify(move: AppMigration, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit status and answer of the command."""
    out = io.StringIO()
    try:
        call_command("verify_migration", str(move.pk), "--json", *options, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


def test_a_writer_makes_no_difference(pair: Pair) -> None:
    with writing(pair), pair.compared() as comparison:
        for _ in range(3):
            comparison.narrow()
        assert comparison.differences == []
    pair.drain()
    with pair.comparison() as comparison:
        comparison.begin()
        report = comparison.settle()
        assert named(report) == []
        assert report.rows >= ROWS
        assert named(comparison.check_again()) == []
        comparison.end()
    assert pair.slots() == [pair.move.name_in_regions]


def test_it_finds_each_kind_of_damage_under_writers(pair: Pair) -> None:
    for statement, _ in DAMAGE.values():
        pair.shop.sql(pair.replica, statement)
    with writing(pair), pair.compared() as comparison:
        found = {f"{one.kind} {one.name}" for one in comparison.differences}
    for what, (_, expected) in DAMAGE.items():
        assert any(name.startswith(expected) for name in found), f"{what} was not found: {found}"
    assert len([name for name in found if name.startswith("row")]) == 4


def test_it_finds_while_blocked_what_no_stream_carries_and_what_happened_last(pair: Pair) -> None:
    with pair.compared() as comparison:
        comparison.narrow()
        assert named(comparison.report()) == []
        pair.write("UPDATE item SET name = 'written last' WHERE id = 5; UPDATE item SET id = -6 WHERE id = 6")
        pair.write("DELETE FROM item WHERE id = 8")
        pair.drain()
        pair.shop.sql(
            pair.replica, "UPDATE item SET name = 'spoilt' WHERE id = 5; INSERT INTO item VALUES (6, ''), (8, '')"
        )
        pair.shop.sql(pair.replica, "DROP INDEX item_name")
        for statement, _ in WHILE_BLOCKED.values():
            pair.shop.sql(pair.replica, statement)
        comparison.settle()
        found = named(comparison.check_again())
    rows_found = [f"row public.item (id={key})" for key in (5, 6, 8)]
    expected = [*rows_found, "schema item_name", *(name for _, name in WHILE_BLOCKED.values())]
    for name in expected:
        assert any(one.startswith(name) for one in found), f"{name} was not found: {found}"


def test_a_column_that_was_added_meanwhile_is_compared(pair: Pair) -> None:
    with pair.compared() as comparison:
        for region, filled in ((pair.replica, 1), (pair.primary, 2)):
            pair.shop.sql(region, f"ALTER TABLE item ADD added int DEFAULT {filled}")
            pair.shop.sql(region, "ALTER TABLE item ALTER added DROP DEFAULT")
        pair.drain()
        assert named(comparison.settle()) == ["table public.item"]
    with pair.compared() as comparison:
        comparison.narrow()
        assert "table public.item" in named(comparison.report())


def test_a_table_without_a_key_that_differs_is_found_by_the_next_runner_too(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first one dies when it has found that, and does not know yet whether it was being written."""
    pair.shop.sql(pair.replica, "UPDATE log SET what = 'spoilt'")
    monkeypatch.setattr(streaming, "_KEEP_SECONDS", 0)

    def interrupt() -> None:
        if any(name == "log" and done for _, name, *_, done in pair.kept.get("progress", [])):
            raise AbortRequested

    with pytest.raises(AbortRequested), pair.compared(check=interrupt):
        interrupt()  # nobody may have asked since
    with pair.compared() as comparison:
        comparison.narrow()
        assert named(comparison.report()) == ["table public.log"]


def test_a_table_that_was_dropped_meanwhile_is_forgotten(pair: Pair) -> None:
    with pair.compared():
        pair.write("INSERT INTO log (what) VALUES ('more')")
    with pair.compared() as comparison:
        assert pair.kept["whole"] == [["public", "log"]]
        for region in (pair.replica, pair.primary):
            pair.shop.sql(region, "DROP TABLE log")
    with pair.compared() as comparison:
        comparison.narrow()
        assert [name for name in named(comparison.report()) if "log" in name] == []


def test_what_comes_after_settling_is_compared_too(pair: Pair) -> None:
    with pair.compared() as comparison:
        pair.drain()
        assert named(comparison.settle()) == []
        pair.write("UPDATE item SET name = 'behind the fence' WHERE id IN (5, 6)")
        pair.drain()
        pair.shop.sql(pair.replica, "UPDATE item SET name = 'spoilt' WHERE id = 6")
        assert [name for name in named(comparison.check_again()) if name.startswith("row")] == [
            "row public.item (id=6)"
        ]


def test_little_is_left_for_the_block(pair: Pair) -> None:
    with pair.compared() as comparison:
        comparison.narrow()
        pair.write("UPDATE item SET n = 1 WHERE id <= 1000")
        pair.drain()
        report = comparison.settle()
    assert (named(report), report.rows_in_block) == ([], 1000)
    assert report.rows >= ROWS


def test_a_later_runner_compares_no_finished_chunk_again(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 100)
    monkeypatch.setattr(streaming, "_KEEP_SECONDS", 0)
    digest, seen = rows.digest, []

    def seen_digest(session: Any, shape: Any, within: Any) -> Any:
        if shape.name == ("public", "item"):
            seen.append(within[0])
        return digest(session, shape, within)

    monkeypatch.setattr(chunks, "digest", seen_digest)

    def upto() -> int:
        marks = [mark for _, name, *mark in pair.kept.get("progress", []) if name == "item" and mark[3]]
        return int(marks[0][3][0]) if marks else 0

    def interrupt() -> None:
        if upto():
            raise AbortRequested

    with pytest.raises(AbortRequested), pair.compared(check=interrupt):
        pass
    kept_upto = upto()
    assert 0 < kept_upto < ROWS
    seen.clear()
    with pair.compared() as comparison:
        assert min(int(above[0]) for above in seen if above) == kept_upto
        assert None not in seen
        assert (named(comparison.report()), comparison.report().rows) == ([], ROWS + 1)


def test_what_was_written_between_two_runners_is_compared(pair: Pair) -> None:
    with pair.compared():
        pass
    pair.write("UPDATE item SET name = 'between two runners' WHERE id = 5")
    with pair.comparison() as comparison:
        comparison.begin()
        pair.drain()
        pair.shop.sql(pair.replica, "UPDATE item SET name = 'spoilt' WHERE id = 5")
        report = comparison.settle()
    assert [name for name in named(report) if name.startswith("row")] == ["row public.item (id=5)"]
    assert report.rows_in_block < 10


def test_a_runner_that_dies_before_it_has_kept_what_it_read_loses_nothing(pair: Pair) -> None:
    def lost(kept: dict[str, Any]) -> None:
        raise LeaseLost

    with pair.compared():
        pass
    pair.write("UPDATE item SET name = 'read by one that died' WHERE id = 5")
    with pytest.raises(LeaseLost), pair.compared(keep=lost):
        pass
    pair.drain()
    pair.shop.sql(pair.replica, "UPDATE item SET name = 'spoilt' WHERE id = 5")
    with pair.comparison() as comparison:
        comparison.begin()
        assert "row public.item (id=5)" in named(comparison.settle())


def test_a_stream_that_is_stuck_is_said_so(pair: Pair, settings: LazySettings) -> None:
    settings.MOVES_DRAIN_SECONDS = 0.5
    with pair.shop.cluster(pair.replica).connect() as blocker, pair.comparison() as comparison:
        blocker.execute("BEGIN; LOCK TABLE public.item IN ACCESS EXCLUSIVE MODE")
        pair.write("UPDATE item SET n = 7 WHERE id = 5")
        with pytest.raises(TransientError, match="has not carried"):
            comparison.begin()
        blocker.execute("ROLLBACK")
        settings.MOVES_DRAIN_SECONDS = 30
        comparison.begin()


def test_a_row_under_way_is_waited_for(pair: Pair) -> None:
    calls: list[int] = []
    with pair.shop.cluster(pair.replica).connect() as blocker:

        def let_go() -> None:
            if blocker.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS:
                calls.append(1)
                if len(calls) > 20:
                    blocker.execute("ROLLBACK")

        with pair.compared(check=let_go) as comparison:
            blocker.execute("BEGIN; SELECT 1 FROM public.item WHERE id = 5 FOR UPDATE")
            pair.write("UPDATE item SET n = 7 WHERE id = 5")
            assert comparison._pass() == 0
            assert named(comparison.report()) == []


def test_an_open_transaction_keeps_the_watch_from_being_made(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_SLOT_SECONDS", 1)
    with pair.shop.connect(pair.primary) as writer, pair.comparison() as comparison:
        writer.execute("BEGIN; UPDATE item SET n = 7 WHERE id = 5")
        with pytest.raises(TransientError) as refused:
            comparison.begin()
        assert refused.value.code == "database_57014"
        assert pair.slots() == [pair.move.name_in_regions]
        writer.execute("COMMIT")
        comparison.begin()


def test_a_table_without_a_key_that_is_written_to_is_left_for_the_block(pair: Pair) -> None:
    with pair.compared() as comparison:
        pair.write("INSERT INTO log (what) VALUES ('more')")
        comparison.narrow()
        assert comparison.report().unsettled == []
        pair.write("INSERT INTO log (what) VALUES ('more')")
        pair.drain()
        pair.shop.sql(pair.replica, "UPDATE log SET what = 'spoilt' WHERE what = 'began'")
        report = comparison.settle()
    assert [name for name in named(report) if "log" in name] == ["table public.log"]
    assert report.rows_in_block == 3


def test_nobody_compares_the_same_twice_at_a_time(pair: Pair) -> None:
    primary = pair.shop.cluster(pair.primary)
    with anytime._alone(primary, f"{pair.move.name_in_regions}_check"):
        status, said = verify(pair.move)
    assert (status, said["error"]) == (1, "being_compared")


def test_a_watch_slot_that_is_gone_is_begun_anew(pair: Pair) -> None:
    with pair.compared() as comparison:
        pass
    pair.write("UPDATE item SET n = 7 WHERE id = 5")
    comparison.end()
    with pair.comparison() as comparison:
        comparison.begin()
        pair.drain()
        pair.shop.sql(pair.replica, "UPDATE item SET n = 8 WHERE id = 5")
        assert "row public.item (id=5)" not in named(comparison.report())
        report = comparison.settle()
    assert named(report) == ["table public.item"]  # compared as a whole
    assert report.rows_in_block > ROWS


def test_more_rows_than_are_kept_are_compared_as_a_table(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MOST_KEYS", 100)
    with pair.compared() as comparison:
        pair.write("UPDATE item SET n = 7 WHERE id <= 1000")
        assert comparison.narrow() == 0
        pair.write("UPDATE item SET n = 8 WHERE id <= 1000")
        pair.drain()
        pair.shop.sql(pair.replica, "UPDATE item SET n = 9 WHERE id = 500")
        report = comparison.settle()
    assert "table public.item" in named(report)
    assert report.rows_in_block >= ROWS


def test_truncated_and_written_anew(pair: Pair) -> None:
    with pair.compared() as comparison:
        pair.write("TRUNCATE item; INSERT INTO item SELECT n, 'new' FROM generate_series(1, 10) n")
        assert comparison.narrow() == 0
        pair.write("TRUNCATE item")
        pair.drain()
        assert named(comparison.settle()) == []
        pair.shop.sql(pair.replica, "INSERT INTO item VALUES (1, 'left')")
    with pair.comparison(kept={}) as comparison:
        comparison.begin()
        comparison.compare_rows()
        assert [one.name for one in comparison.differences] == ["public.item", "public.item (id=1)"]


KEYS = """
CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN code AS text;
CREATE TABLE composite (tenant int, email citext, n int, PRIMARY KEY (tenant, email));
INSERT INTO composite SELECT n % 3, 'Ünï-' || n, n FROM generate_series(1, 50) n;
CREATE TABLE same_operators (a int, b int, n int, PRIMARY KEY (a, b));
INSERT INTO same_operators SELECT n % 3, n, n FROM generate_series(1, 50) n;
CREATE TABLE by_text (k text PRIMARY KEY, n int);
INSERT INTO by_text SELECT (ARRAY['{a,"b"}', 'it''s \\ ', '', 'null', 'ü%s'])[1 + n % 5] || nullif(n, 10), n
  FROM generate_series(1, 50) n WHERE n <> 10;
CREATE TABLE by_uuid (k uuid PRIMARY KEY, n int);
INSERT INTO by_uuid SELECT gen_random_uuid(), n FROM generate_series(1, 50) n;
CREATE TABLE by_several (m mood, k text COLLATE "C", d code, n int, PRIMARY KEY (m, k, d));
INSERT INTO by_several SELECT (ARRAY['sad', 'ok', 'happy']::mood[])[1 + n % 3], 'k' || n, 'd', n
  FROM generate_series(1, 50) n;
CREATE TABLE by_time (t timestamptz, f float8, b boolean, i inet, n int, PRIMARY KEY (t, f, b, i));
INSERT INTO by_time SELECT now() + n * interval '1 day', n / 3.0, n % 2 = 0, '10.0.0.1', n
  FROM generate_series(1, 50) n;
CREATE TABLE "Odd "" name %s" ("k %s {}" character(5) PRIMARY KEY, n int);
INSERT INTO "Odd "" name %s" SELECT n::text, n FROM generate_series(1, 50) n;
CREATE TABLE by_index (k int NOT NULL, n int);
CREATE UNIQUE INDEX by_index_k ON by_index (k DESC);
ALTER TABLE by_index REPLICA IDENTITY USING INDEX by_index_k;
INSERT INTO by_index SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE both_ways (a int NOT NULL, b int NOT NULL, n int);
CREATE UNIQUE INDEX both_ways_k ON both_ways (a, b DESC);
INSERT INTO both_ways SELECT n % 3, n, n FROM generate_series(1, 50) n;
CREATE TABLE computed (k int PRIMARY KEY, n int, g int GENERATED ALWAYS AS (n * 2) STORED);
INSERT INTO computed SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE parted (k int PRIMARY KEY, n int) PARTITION BY RANGE (k);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (20);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (20) TO (100);
INSERT INTO parted SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE parent (k int PRIMARY KEY, n int);
CREATE TABLE child (PRIMARY KEY (k)) INHERITS (parent);
INSERT INTO parent SELECT n, 1000 + n FROM generate_series(1, 50) n;
INSERT INTO child SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE with_full (k int PRIMARY KEY, n int);
ALTER TABLE with_full REPLICA IDENTITY FULL;
INSERT INTO with_full SELECT n, n FROM generate_series(1, 50) n;
CREATE TABLE arrays (k text[] PRIMARY KEY, n int);
INSERT INTO arrays SELECT ARRAY['a"' || n, NULL], n FROM generate_series(1, 50) n;
CREATE TABLE ranges (k int4range PRIMARY KEY, n int);
INSERT INTO ranges SELECT int4range(n, n + 5), n FROM generate_series(1, 50) n;
CREATE TABLE long_keys (k text PRIMARY KEY, n int);
ALTER TABLE long_keys ALTER k SET STORAGE EXTERNAL;
INSERT INTO long_keys SELECT repeat('x', 2400) || n, n FROM generate_series(1, 50) n;
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
"""
WITH_ROWS = (
    "composite", "same_operators", "by_text", "by_uuid", "by_several", "by_time", 'Odd " name %s', "by_index",
    "both_ways", "computed", "parted_2", "child", "with_full", "arrays", "ranges", "long_keys",
)  # fmt: skip


def on_each(statement: str) -> str:
    """The statement for every table, with its name put in."""
    return "; ".join(statement.replace("{}", '"' + table.replace('"', '""') + '"') for table in WITH_ROWS)


def rows_of(found: list[str]) -> list[str]:
    return sorted(name.removeprefix("row public.").rpartition(" (")[0] for name in found if name.startswith("row "))


def test_every_kind_of_key(make_pair: Callable[[str], Pair], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 7)
    pair = make_pair(KEYS)
    with pair.compared() as comparison:
        comparison.narrow()
        assert named(comparison.report()) == []
        cut = {pair.name[1] for pair in comparison._streamed.values() if pair.cut}
        assert {"composite", "same_operators", "by_text", "by_uuid", "by_several", "by_time"} <= cut
        pair.write(on_each("UPDATE {} SET n = n + 1"))
        pair.write("UPDATE same_operators SET b = -b WHERE b > 40; DELETE FROM by_uuid WHERE n > 40")
        pair.write("INSERT INTO nothing DEFAULT VALUES")
        pair.drain()
        pair.shop.sql(pair.replica, on_each("UPDATE {} SET n = -7 WHERE n = 26"))
        pair.shop.sql(pair.replica, "DELETE FROM nothing")
        found = named(comparison.settle())
        assert rows_of(found) == sorted(WITH_ROWS)
        assert "table public.nothing" in found
        assert "table public.parent" not in found
    with pair.comparison(kept={}) as comparison:
        comparison.begin()
        comparison.compare_rows()
        found = [f"{one.kind} {one.name}" for one in comparison.differences]
        assert rows_of(found) == sorted(WITH_ROWS)
        assert "table public.nothing" in found


@pytest.mark.slow
def test_the_command_compares_a_completed_move_under_writers(make_shop: Callable[..., Shop], us: Region) -> None:
    shop = make_shop(schema=SCHEMA)
    move = moved(shop.app, "eu-west-1")
    pair = Pair(shop, move, primary=move.dest_region, replica=us)
    with writing(pair):
        status, said = verify(move)
    assert (status, said["equal"], said["findings"] != []) == (0, True, True)
    assert "table public.scratch" in said["not_carried"]
    assert pair.slots() == [move.name_in_regions]
    for statement, _ in DAMAGE.values():
        shop.sql(us, statement)
    with writing(pair):
        status, said = verify(move)
    found = [f"{one['kind']} {one['name']}" for one in said["findings"] if not one["equal"]]
    assert status == 1
    for what, (_, expected) in DAMAGE.items():
        assert any(name.startswith(expected) for name in found), f"{what} was not found: {found}"
    assert pair.slots() == [move.name_in_regions]


def test_the_command_leaves_no_slot_when_it_is_interrupted(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        assert f"{pair.move.name_in_regions}_check" in pair.slots()
        raise KeyboardInterrupt

    monkeypatch.setattr(StreamingComparison, "compare_rows", interrupt)
    status, said = verify(pair.move)
    assert (status, said["error"]) == (130, "stopped")
    assert pair.slots() == [pair.move.name_in_regions]


def test_a_move_without_a_second_side_is_refused(shop: Shop) -> None:
    move = moved(shop.app, "eu-west-1")
    torn_down(move)
    status, said = verify(move)
    assert (status, said["error"]) == (4, "no_second_side")


def test_a_slot_that_a_comparison_has_left_is_an_orphan_of_its_move(pair: Pair) -> None:
    def left() -> list[orphans.Orphan]:
        return [orphan for orphan in orphans.find(pair.shop.app).orphans if orphan.kind == "slot"]

    assert left() == []
    for end in ("_watch", "_check"):
        name = f"{pair.move.name_in_regions}{end}"
        touched.create(pair.shop.cluster(pair.primary), name, patience_seconds=30, check=no_check)
        assert [(one.name, one.app) for one in left()] == [(name, pair.shop.app.slug)]
        tripwire.drop_slot(pair.shop.cluster(pair.primary), name, check=no_check)

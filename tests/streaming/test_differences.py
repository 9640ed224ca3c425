"""The comparison while a stream runs and the app writes: it finds what is wrong, and nothing else."""

from __future__ import annotations

import psycopg
import pytest
from django.conf import LazySettings

from migrations_app.errors import TransientError
from migrations_app.verification import state
from tests.streaming.pair import DAMAGE, ROWS, WHILE_BLOCKED, Pair, named, writing


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

"""Runners that die while they compare, and those that go on."""

from __future__ import annotations

from typing import Any

import pytest

from migrations_app.errors import AbortRequested, LeaseLost, TransientError
from migrations_app.verification import chunks, rows, streaming
from tests.streaming.pair import ROWS, Pair, named


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

"""Whatever clients write while their database is moved: what was acknowledged is there once, and nothing else is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_app.models import Region
from migrations_app.states import Status, Strategy
from tests import writers
from tests.conftest import Shop, moved
from tests.waiting import wait_until
from tests.writers import (
    ALL,
    Copies,
    Deletes,
    Documents,
    Forced,
    Inserts,
    Keyless,
    LongTransactions,
    ManyRows,
    Outcome,
    Sequences,
    Updates,
    Upserts,
    Writer,
    await_more,
    problems,
    writing,
)  # fmt: skip


@pytest.fixture
def busy(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop(schema=writers.SCHEMA)


STRATEGIES = pytest.mark.parametrize(
    "strategy", [pytest.param(Strategy.SNAPSHOT, marks=pytest.mark.slow), Strategy.LIVE]
)


@STRATEGIES
def test_every_acknowledged_write_of_every_kind_is_there_once(strategy: Strategy, busy: Shop, eu: Region) -> None:
    with writing(busy, *ALL) as at_work:
        move = moved(busy.app, "eu-west-1", strategy=strategy)
        assert (move.status, move.last_error, move.app.region) == (Status.COMPLETED, "", eu)
        await_more(at_work)
    assert problems(busy, at_work) == []
    refused = {type(writer).__name__ for writer in at_work if Outcome.REFUSED in writer.outcomes.values()}
    assert refused, "nobody came to the fence"


@STRATEGIES
def test_a_writer_that_steps_over_the_fence_loses_nothing(
    strategy: Strategy, busy: Shop, us: Region, eu: Region
) -> None:
    """The snapshot plan gives up, for its dump is stale; the live plan drains what was written."""
    with writing(busy, Forced, Inserts) as at_work:
        move = moved(busy.app, "eu-west-1", strategy=strategy)
        if strategy is Strategy.SNAPSHOT:
            assert move.status == Status.FAILED
            assert move.last_error_code in ("written_behind_fence", "sides_differ")
            assert move.app.region == us
        else:
            assert (move.status, move.last_error, move.app.region) == (Status.COMPLETED, "", eu)
        await_more(at_work)
    assert problems(busy, at_work) == []


@pytest.mark.parametrize(
    ("kind", "tampering", "found"),
    [
        (Inserts, "DELETE FROM entry WHERE id = 1", "acknowledged and is there [0] times"),
        (Inserts, "INSERT INTO entry (key) SELECT key FROM entry WHERE id = 1", "acknowledged and is there [2] times"),
        (Inserts, "INSERT INTO entry (key) SELECT split_part(key, '/', 1) || '/0' FROM entry LIMIT 1", "never written"),
        (ManyRows, "DELETE FROM entry WHERE id = 1", "is there [0, 1] times"),
        (Copies, "DELETE FROM entry WHERE id = 1", "is there [0, 1] times"),
        (LongTransactions, "DELETE FROM entry WHERE id = 1", "is there [0, 1] times"),
        (Keyless, "UPDATE log SET seen = 0", "was changed 0 times"),
        (Keyless, "INSERT INTO log SELECT * FROM log", "is there [2] times"),
        (Documents, "UPDATE document SET body = jsonb_set(body, '{key}', '0')", "has another body"),
        (Updates, "UPDATE setting SET n = n - 1", "is [("),
        (Upserts, "UPDATE tally SET n = n + 1", "were acknowledged, 0 are unknown"),
        (Deletes, "INSERT INTO doomed VALUES (1)", "row 1: its deletion was acknowledged"),
        (Deletes, "DELETE FROM doomed WHERE n = 20000", "row 20000 is gone"),
    ],
)
def test_what_is_lost_or_doubled_is_found(
    busy: Shop, us: Region, kind: type[Writer], tampering: str, found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LongTransactions, "open_for", 0.01)
    with writing(busy, kind) as at_work:
        pass
    assert problems(busy, at_work) == []
    busy.sql(us, tampering)
    assert found in " ".join(problems(busy, at_work))


def test_a_number_that_is_given_twice_is_found(busy: Shop, us: Region) -> None:
    with writing(busy, Inserts, Sequences) as at_work:
        inserts, sequences = at_work
        busy.sql(us, "SELECT setval('ticket', 1, false), setval('entry_id_seq', 1, false)")
        wait_until(lambda: inserts.strange and sequences.outcomes and "given 2 times" in str(sequences.problems(list)))
    assert "duplicate key" in inserts.strange[0]

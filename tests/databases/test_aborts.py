"""An abort, or a failure, at each step before the pivot leaves both clusters as they were."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_app import actions
from migrations_app.engine.journal import Journal
from migrations_app.engine.plan import PIVOT, plan_of
from migrations_app.errors import PermanentError
from migrations_app.move import Move
from migrations_app.states import Status, Step, Strategy
from migrations_app.steps import STEPS
from tests.conftest import moved
from tests.databases import snapshot
from tests.databases.conftest import Built
from tests.databases.reading import Tree
from tests.databases.trees import assert_equal

US, EU = "us-east-1", "eu-west-1"
STRATEGIES = pytest.mark.parametrize(
    "strategy", [pytest.param(Strategy.SNAPSHOT, marks=pytest.mark.slow), Strategy.LIVE]
)


@pytest.fixture
def built(build: Callable[[str], Built]) -> Built:
    """The one with the most to leave behind in a cluster."""
    return build("access")


def everything(built: Built) -> Tree:
    return {
        "source cluster": snapshot.cluster(built.at(US)),
        "source database": snapshot.database(built.at(US)),
        "destination cluster": snapshot.cluster(built.at(EU)),
    }


def carried(built: Built, strategy: Strategy) -> tuple[str, str]:
    move = moved(built.app, EU, strategy=strategy)
    return move.status, move.last_error


@STRATEGIES
def test_an_abort_at_any_step_leaves_no_trace(
    built: Built, monkeypatch: pytest.MonkeyPatch, strategy: Strategy
) -> None:
    before = everything(built)
    plan = plan_of(strategy)
    for step in plan[: plan.index(PIVOT)]:
        # What is not done, since the app has no blobs and no runtime, is skipped: the abort comes then.
        verb = "do" if step not in (Step.COPYING_BLOBS, Step.COPYING_RUNTIME) else "skip"
        original = getattr(STEPS[step], verb)

        def then_abort(move: Move, original: Callable[[Move], str] = original) -> str:
            outcome = original(move)
            actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")
            return outcome

        with monkeypatch.context() as patched:
            patched.setattr(STEPS[step], verb, then_abort)
            assert carried(built, strategy) == (Status.ABORTED, ""), step
        assert_equal(before, everything(built), f"after an abort at {step}")


@STRATEGIES
def test_an_abort_as_the_pivot_is_about_to_be_passed_leaves_no_trace(
    built: Built, monkeypatch: pytest.MonkeyPatch, strategy: Strategy
) -> None:
    before = everything(built)
    original = Journal.pass_pivot

    def abort_first(journal: Journal) -> None:
        actions.abort(move_id=journal.row.pk, acting_user=None, reason="a test")
        original(journal)

    monkeypatch.setattr(Journal, "pass_pivot", abort_first)
    assert carried(built, strategy) == (Status.ABORTED, "")
    assert_equal(before, everything(built), "after an abort at the pivot")


@STRATEGIES
def test_a_failure_in_the_middle_of_a_step_leaves_no_trace(
    built: Built, monkeypatch: pytest.MonkeyPatch, strategy: Strategy
) -> None:
    """At its first act, when the roles are made and the database is not, or the dump is restored."""
    before = everything(built)
    original = Journal.act
    for step in (Step.RESERVING_DEST, Step.BLOCKING_WRITES, Step.RESTORING_DATA):

        def fail(journal: Journal, text: str, at: Step = step) -> None:
            if journal.run and journal.run.step == at and not journal.lease.undoing:
                raise PermanentError("The test says so.")
            original(journal, text)

        with monkeypatch.context() as patched:
            patched.setattr(Journal, "act", fail)
            assert carried(built, strategy) == (Status.FAILED, "The test says so."), step
        assert_equal(before, everything(built), f"after a failure in {step}")

from migrations_app.engine.plan import LIVE, PIVOT, PLANS, plan_of, undo_order
from migrations_app.states import Step, Strategy
from migrations_app.steps import STEPS


def test_every_plan_walks_all_eleven_steps_once() -> None:
    assert set(PLANS) == set(Strategy)
    for strategy, plan in PLANS.items():
        assert len(set(plan)) == len(plan)
        assert set(plan) == set(Step) or strategy == Strategy.REHEARSAL


def test_a_rehearsal_stops_where_the_live_plan_would_block_writes() -> None:
    assert [*PLANS[Strategy.REHEARSAL], Step.BLOCKING_WRITES] == list(LIVE[: len(PLANS[Strategy.REHEARSAL]) + 1])


def test_every_step_has_a_module_that_answers_the_four_questions() -> None:
    assert set(STEPS) == set(Step)
    for step, module in STEPS.items():
        text = module.__doc__ or ""
        assert text.startswith(f"{step}: ")
        for question in ("What changes:", "Done when:", "Undo:", "How long:"):
            assert question in text, f"{step} does not say {question}"


def test_writes_come_back_before_the_rest_is_undone() -> None:
    begun = list(plan_of(Strategy.SNAPSHOT)[: plan_of(Strategy.SNAPSHOT).index(PIVOT) + 1])
    order = undo_order(begun, Strategy.SNAPSHOT)
    assert order[:2] == [PIVOT, Step.BLOCKING_WRITES]
    assert order[2:] == [
        Step.COPYING_RUNTIME,
        Step.COPYING_BLOBS,
        Step.RESTORING_DATA,
        Step.DUMPING_DATA,
        Step.RESERVING_DEST,
        Step.REQUESTED,
    ]


def test_only_what_was_begun_is_undone() -> None:
    assert undo_order([Step.REQUESTED, Step.RESERVING_DEST], Strategy.SNAPSHOT) == [Step.RESERVING_DEST, Step.REQUESTED]

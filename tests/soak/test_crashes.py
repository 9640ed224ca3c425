"""The crash matrix: kill -9 at every point of every step of every plan, workers alone, servers, and what stands still.

Prints a table: fault, cases, survived, longest block of writes, longest time until a sound worker went on. CRASHES
chooses groups, separated by commas.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from migrations_app.engine.plan import PIVOT, WAY_BACK, plan_of, undo_order
from migrations_app.models import App, Region
from migrations_app.states import Status, Step, Strategy
from tests.crashes.scene import Scene, scene
from tests.guestbook import GuestBook

POINTS = ("begin", "act", "effect", "end")
CLAIM = ("claim:before", "claim:after", "release:before")
SILENT = {Step.REQUESTED: "undo"}
"""What logs nothing when it is undone."""
URGENT = (WAY_BACK, PIVOT, Step.BLOCKING_WRITES)
SKIPPED_IN_A_REVERSE = (Step.DUMPING_DATA, Step.RESTORING_DATA)
SERVERS = ("us-east-1-postgres", "eu-west-1-postgres", "portal-postgres", "redis", "edge")
WANTED = os.environ.get("CRASHES", "").split(",")

Case = Callable[[str], object]


@pytest.fixture
def stage(app: App, guestbook: GuestBook, regions: dict[str, Region]) -> Iterator[Scene]:
    with scene(app, guestbook, regions) as made:
        yield made


def forward(strategy: Strategy) -> list[str]:
    reverse = strategy == Strategy.REVERSE
    points = [
        f"do:{step}:{point}"
        for step in plan_of(strategy)
        for point in POINTS
        if not (reverse and step in SKIPPED_IN_A_REVERSE and point == "act")
    ]
    return [*CLAIM, *points]


def backward(strategy: Strategy, last: Step = PIVOT) -> list[str]:
    plan = plan_of(strategy)
    begun = plan[: plan.index(last) + 1]
    return [
        f"undo:{step}:{point}"
        for step in undo_order(begun, strategy)
        for point in POINTS
        if not (point == "act" and SILENT.get(step))
    ]


def around_the_pivot() -> list[str]:
    """After each act from the comparison to the proven way back."""
    return [
        *(f"do:{PIVOT}:act{nth}" for nth in range(2, 8)),
        *(f"do:{WAY_BACK}:{point}" for point in ("begin", "act", "effect")),
    ]


def walk(stage: Scene, name: str, cases: list[str], do: Case) -> None:
    """Do every case, print the table's row, and audit all that was written."""
    survived, longest = 0, 0.0
    stage.resumed_after.clear()
    try:
        for case in cases:
            do(case)
            survived += 1
            longest = max(longest, stage.longest_block())
            print(f"  {name}: {case}", flush=True)
    finally:
        resumed = max(stage.resumed_after, default=0.0)
        print(f"| {name} | {len(cases)} | {survived} | {longest:.1f} s | {resumed:.1f} s |", flush=True)
    print(stage.audit())


def wanted(group: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(WANTED != [""] and group not in WANTED, reason="not in CRASHES")


STRATEGIES = pytest.mark.parametrize("strategy", [Strategy.SNAPSHOT, Strategy.LIVE])


@wanted("kill")
@STRATEGIES
def test_kill_at_every_point_there_and_back(stage: Scene, us: Region, eu: Region, strategy: Strategy) -> None:
    stage.strategy = strategy
    back = iter(forward(Strategy.REVERSE))

    def there_and_back(point: str) -> None:
        stage.to(eu, f"kill@{point}")
        stage.to(us, f"kill@{next(back, 'claim:after')}")
        stage.tear_down()

    walk(stage, f"kill -9 of the work-horse, {strategy} and reverse", forward(strategy), there_and_back)


@wanted("abort")
@STRATEGIES
def test_kill_at_every_point_of_the_undoing(stage: Scene, eu: Region, strategy: Strategy) -> None:
    stage.strategy = strategy

    def undo(point: str) -> None:
        stage.to(eu, f"fail@do:{PIVOT}:act,kill@{point}", ends=Status.FAILED)

    walk(stage, f"kill -9 of the work-horse, undoing, {strategy}", backward(strategy), undo)


@wanted("pivot")
@STRATEGIES
def test_kill_after_every_act_around_the_pivot(stage: Scene, us: Region, eu: Region, strategy: Strategy) -> None:
    stage.strategy = strategy

    def there_and_back(point: str) -> None:
        stage.to(eu, f"kill@{point}")
        stage.to(us, f"kill@{point}")
        stage.tear_down()

    walk(
        stage, f"kill -9 of the work-horse around the pivot, {strategy} and reverse", around_the_pivot(), there_and_back
    )


@wanted("back")
@STRATEGIES
def test_kill_at_every_point_of_going_back_past_the_pivot(stage: Scene, eu: Region, strategy: Strategy) -> None:
    stage.strategy = strategy
    points = [point for point in backward(strategy, WAY_BACK) if any(f":{step}:" in point for step in URGENT)]
    walk(
        stage,
        f"kill -9 of the work-horse, going back past the pivot, {strategy}",
        points,
        lambda point: stage.gone_back(eu, f"kill@{point}"),
    )


@wanted("teardown")
def test_kill_at_every_point_of_a_teardown(stage: Scene, us: Region, eu: Region) -> None:
    def move_and_tear_down(point: str) -> None:
        stage.to(eu, "kill@claim:after")
        stage.to(us, "kill@claim:after")
        stage.tear_down(f"kill@{point}")

    points = [*CLAIM, *(f"teardown:{number}" for number in range(4))]
    walk(stage, "kill -9 of the work-horse, teardown", points, move_and_tear_down)


@wanted("worker")
@STRATEGIES
@pytest.mark.parametrize("kind", ["kill_worker", "stop"])
def test_at_every_step_there_and_back(stage: Scene, us: Region, eu: Region, kind: str, strategy: Strategy) -> None:
    stage.strategy = strategy
    names = {"kill_worker": "kill -9 of the worker, not of its work-horse", "stop": "SIGSTOP past the lease"}

    def there_and_back(point: str) -> None:
        stage.to(eu, f"{kind}@{point}")
        stage.to(us, f"{kind}@{point}")
        stage.tear_down()

    walk(stage, f"{names[kind]}, {strategy}", [f"do:{step}:effect" for step in plan_of(strategy)], there_and_back)


@wanted("server")
@STRATEGIES
@pytest.mark.parametrize("server", SERVERS)
def test_a_server_crashes_at_every_step(stage: Scene, us: Region, eu: Region, server: str, strategy: Strategy) -> None:
    stage.strategy = strategy

    def there_and_back(point: str) -> None:
        move = stage.with_a_server_lost(eu, f"crash={server}@{point}")
        if move.status != Status.COMPLETED:
            return
        back = stage.with_a_server_lost(us, f"crash={server}@{point}")
        while back.status != Status.COMPLETED:
            back = stage.with_a_server_lost(us, "none@nowhere")
        stage.tear_down()

    walk(stage, f"kill -9 of {server}, {strategy}", [f"do:{step}:begin" for step in plan_of(strategy)], there_and_back)

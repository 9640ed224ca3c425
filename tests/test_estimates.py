"""What a move may take, by what was measured before it. Regions and moves are on paper."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from migrations_app import actions, estimates
from migrations_app.models import App, AppMigration
from migrations_app.states import Kind, RunStatus, Status, Step, Strategy
from tests import on_paper

pytestmark = pytest.mark.django_db

BEGAN = datetime(2030, 1, 31, 2, tzinfo=UTC)
MB = 10**6
STEPS = {Step.RESERVING_DEST: 2.0, Step.DUMPING_DATA: 10.0, Step.RESTORING_DATA: 20.0, Step.COPYING_BLOBS: 5.0}
REST = {Step.COPYING_RUNTIME: 3.0, Step.BLOCKING_WRITES: 1.0, Step.FLIPPING_ROUTING: 4.0}
NEVER = "nothing has been measured between these regions yet"


@pytest.fixture
def shop(db: None) -> App:
    on_paper.region("eu-west-1")
    return on_paper.app("shop", blobs="shop", program="shop", port=8000)


def ended(
    of: App,
    *,
    strategy: str = Strategy.SNAPSHOT,
    kind: str = Kind.MOVE,
    status: str = Status.COMPLETED,
    steps: dict[Step, float] | None = None,
    blocked: float | None = 40.0,
    data: int = 100 * MB,
    dest: str = "eu-west-1",
) -> AppMigration:
    """A move that took so many seconds for each step."""
    steps = STEPS | REST if steps is None else steps
    move = on_paper.move(
        of,
        dest,
        kind=kind,
        strategy=strategy,
        status=status,
        pivot_at=BEGAN if kind == Kind.MOVE and status == Status.COMPLETED else None,
        completed_at=BEGAN,
        writes_blocked_at=BEGAN if blocked else None,
        writes_unblocked_at=BEGAN + timedelta(seconds=blocked) if blocked else None,
        facts={"dump_bytes": data, "blobs": 50, "blob_bytes": 10 * MB},
    )
    for step, seconds in steps.items():
        run = move.step_runs.create(step=step, status=RunStatus.DONE)
        move.step_runs.filter(pk=run.pk).update(started_at=BEGAN, ended_at=BEGAN + timedelta(seconds=seconds))
    return move


def wanted(app: App, strategy: str = Strategy.SNAPSHOT, **fields: Any) -> AppMigration:
    return AppMigration(
        app=app, source_region=app.region, dest_region=on_paper.region("eu-west-1"), strategy=strategy, **fields
    )


def found(data: int, blobs: int) -> list[dict[str, Any]]:
    return [{"id": "PF601", "figures": {"bytes": data}}, {"id": "PF701", "figures": {"blobs": 1, "blob_bytes": blobs}}]


def test_nothing_is_guessed(shop: App) -> None:
    made = estimates.estimate(wanted(shop), found(MB, MB))
    assert (made["seconds"], made["blocked_seconds"], made["based_on"]) == (None, None, NEVER)
    assert (made["bytes"], made["blobs"], made["blob_bytes"]) == (MB, 1, MB)
    assert made["steps"]["dumping_data"] == {"seconds": None, "bytes": MB}
    assert estimates.estimate(wanted(shop), [])["bytes"] is None


def test_copying_goes_by_size_and_the_rest_as_it_went(shop: App) -> None:
    ended(on_paper.app("blog"))
    made = estimates.estimate(wanted(shop), found(200 * MB, 5 * MB))
    seconds = {step: figures["seconds"] for step, figures in made["steps"].items() if figures["seconds"] is not None}
    assert seconds == {
        "reserving_dest": 2.0,
        "blocking_writes": 1.0,
        "dumping_data": 20.0,
        "restoring_data": 40.0,
        "copying_blobs": 2.5,
        "copying_runtime": 3.0,
        "flipping_routing": 8.0,
    }
    assert (made["seconds"], made["blocked_seconds"]) == (76.5, 80.0)
    assert made["based_on"] == "1 earlier move from us-east-1 to eu-west-1"
    assert made["steps"]["restoring_data"]["bytes"] == 200 * MB
    assert made["steps"]["copying_blobs"]["bytes"] == 5 * MB


def test_what_the_app_does_not_have_takes_no_time(shop: App) -> None:
    ended(shop)
    made = estimates.estimate(wanted(on_paper.app("plain")), [{"figures": {"bytes": 100 * MB}}])
    assert [made["steps"][step]["seconds"] for step in ("copying_blobs", "copying_runtime")] == [0.0, 0.0]
    assert (made["blobs"], made["blob_bytes"]) == (0, 0)
    assert made["seconds"] is not None


def test_far_beyond_what_was_measured_nobody_knows(shop: App) -> None:
    ended(on_paper.app("blog"))
    assert estimates.estimate(wanted(shop), found(1000 * MB, MB))["seconds"] is not None
    made = estimates.estimate(wanted(shop), found(1001 * MB, MB))
    assert (made["seconds"], made["blocked_seconds"]) == (None, None)


def test_the_apps_own_rehearsal_comes_first(shop: App) -> None:
    ended(on_paper.app("blog"))
    ended(shop, kind=Kind.REHEARSAL, strategy=Strategy.REHEARSAL, blocked=None, steps={Step.DUMPING_DATA: 7.0})
    made = estimates.estimate(wanted(shop, Strategy.LIVE), [])
    assert (made["bytes"], made["blobs"], made["blob_bytes"]) == (100 * MB, 50, 10 * MB)
    assert made["steps"]["dumping_data"]["seconds"] == 7.0
    assert made["steps"]["restoring_data"]["seconds"] == 20.0
    assert made["based_on"] == "the rehearsal of 2030-01-31 and 1 earlier move from us-east-1 to eu-west-1"


@pytest.mark.parametrize(
    "other",
    [
        {"status": Status.FAILED},
        {"dest": "ap-south-1"},
        {"kind": Kind.REHEARSAL, "strategy": Strategy.REHEARSAL},
    ],
    ids=["failed", "elsewhere", "another app's rehearsal"],
)
def test_what_says_nothing_about_it_is_not_taken(shop: App, other: dict[str, Any]) -> None:
    ended(on_paper.app("blog"), **other)
    assert estimates.estimate(wanted(shop), found(100 * MB, MB))["based_on"] == NEVER


def test_the_block_is_that_of_the_same_strategy(shop: App) -> None:
    blog = on_paper.app("blog")
    ended(blog)
    live = estimates.estimate(wanted(shop, Strategy.LIVE), found(100 * MB, MB))
    assert (live["blocked_seconds"], live["steps"]["flipping_routing"]["seconds"]) == (None, None)
    assert live["seconds"] is not None
    ended(blog, strategy=Strategy.LIVE, blocked=0.4)
    live = estimates.estimate(wanted(shop, Strategy.LIVE), found(100 * MB, MB))
    assert (live["blocked_seconds"], live["steps"]["flipping_routing"]["seconds"]) == (0.4, 4.0)
    rehearsal = wanted(shop, Strategy.REHEARSAL, kind=Kind.REHEARSAL)
    assert estimates.estimate(rehearsal, [])["blocked_seconds"] == 0.0


def test_an_earlier_moves_own_figure_is_compared_with_like(shop: App) -> None:
    """What preflight measures is larger than the dump."""
    earlier = ended(shop)
    AppMigration.objects.filter(pk=earlier.pk).update(facts={**earlier.facts, "data_bytes": 200 * MB})
    made = estimates.estimate(wanted(shop), found(200 * MB, MB))
    assert made["steps"]["dumping_data"]["seconds"] == 10.0


def test_a_request_carries_its_estimate(shop: App) -> None:
    ended(on_paper.app("blog"))
    move = actions.request_move(app_slug="shop", dest_slug="eu-west-1", acting_user=None, reason="a test")
    assert AppMigration.objects.get(pk=move.pk).estimate["based_on"].startswith("1 earlier move")  # type: ignore[index]


def test_a_reverse_copies_no_data_and_goes_by_other_reverses(shop: App) -> None:
    there = ended(shop)
    back = {"source_region": there.dest_region, "dest_region": there.source_region, "reverses": there}
    row = AppMigration(app=shop, kind=Kind.REVERSE, strategy=Strategy.REVERSE, **back)
    assert estimates.estimate(row, [])["based_on"] == NEVER
    made = estimates.estimate(row, found(100 * MB, 0))
    assert [made["steps"][step]["seconds"] for step in ("dumping_data", "restoring_data")] == [0.0, 0.0]
    assert made["blocked_seconds"] is None

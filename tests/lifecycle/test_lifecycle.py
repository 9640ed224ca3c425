"""Everything that can befall moves, in any order: the real portal, with stand-ins for what steps do in the regions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import structlog
from django.conf import LazySettings
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.stateful import run_state_machine_as_test

from migrations_app import bell, preflight
from migrations_app.engine import executor, predecessor
from migrations_app.engine.lease import Lease
from migrations_app.engine.plan import PLANS, SNAPSHOT
from migrations_app.engine.teardown import Teardown
from migrations_app.models import App, Region
from migrations_app.states import Step, Strategy
from migrations_app.steps import requested
from tests.lifecycle.forecast import Person
from tests.lifecycle.machine import APPS, NAMES, REGIONS, Lifecycle, Stage
from tests.lifecycle.world import StandIn, StandInTeardown, World
from tests.people import establish_roles, person, team
from tests.test_states import ALLOWED

EXAMPLES = int(os.environ.get("LIFECYCLE_EXAMPLES", "0"))
"""So many, at random, instead of those that are the same in every run."""
ROUND, ROUNDS = 45, 5
"""Examples, the same in every run: as many rounds as it takes to see every transition; for make soak all of them."""

LEFT_OUT = (Step.DUMPING_DATA, Step.COPYING_BLOBS, Step.COPYING_RUNTIME, Step.COMPLETED)
"""Steps that the model can do without; they would cost a third of the time."""


@pytest.fixture
def stage(
    transactional_db: None, settings: LazySettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Stage]:
    """Three regions, three apps, a user of each role in each team; stand-ins for steps, preflight and bell."""
    settings.MOVES_BACKOFF_MAX_SECONDS = 0
    settings.MOVES_STEP_TRIES = 2
    settings.MOVES_WORK_DIR = tmp_path
    establish_roles()
    regions = {slug: Region.objects.create(slug=slug, database=f"host={slug}-0") for slug in REGIONS}
    Region.objects.filter(slug="ap").update(concurrent_moves=1)
    apps = [
        App.objects.create(slug=slug, database=slug, region=regions["us"], owner=team(owner) if owner else None)
        for slug, owner in APPS.items()
    ]
    world = World({app.pk: app.slug for app in apps}, {region.pk: slug for slug, region in regions.items()})
    rung: list[str] = []

    def ring(function: str, row_id: object, region: str) -> bool:
        rung.append(str(row_id))
        return True

    for strategy in Strategy:
        monkeypatch.setitem(PLANS, strategy, tuple(step for step in SNAPSHOT if step not in LEFT_OUT))
    monkeypatch.setattr(executor, "STEPS", {step: StandIn(step, world) for step in Step})
    teardown = StandInTeardown(world)
    monkeypatch.setattr(Teardown, "_end_stream", lambda self: teardown.end_stream(self))
    monkeypatch.setattr(Teardown, "_drop_database", lambda self: teardown.drop_database(self))
    monkeypatch.setattr(preflight, "preflight", world.preflight)
    monkeypatch.setattr(requested, "_LOOK_AGAIN_SECONDS", 3600)
    monkeypatch.setattr(Lease, "kept", lambda self: nullcontext())  # a thread's connection sees nothing of this one
    monkeypatch.setattr(bell, "ring", ring)
    monkeypatch.setattr(predecessor, "evict", lambda lease: None)  # it would look through the machine's processes
    people = {name: _person(name) for name in NAMES}
    with structlog.testing.capture_logs():
        yield Stage(world, people, lambda policy: setattr(settings, "MOVES_FOUR_EYES", policy), rung)


def _person(name: str | None) -> Person:
    if name is None:
        return Person(None, "", "", None)
    role, in_team = name.split("-")
    return Person(name, role.capitalize(), in_team, person(name, role.capitalize(), in_team))


@pytest.mark.parametrize("rounds", [1, pytest.param(ROUNDS, marks=pytest.mark.slow)])
def test_whatever_people_and_workers_do_the_laws_hold(stage: Stage, rounds: int) -> None:
    if EXAMPLES:
        walk(stage, EXAMPLES)
        return
    expected = ALLOWED - {("aborting", "completed")}  # of rehearsals: tests/test_live_move.py
    for number in range(ROUNDS):
        if number < rounds or edges(stage) != expected:
            walk(stage, ROUND, of_round=number)
    assert edges(stage) == expected


def edges(stage: Stage) -> set[tuple[str, str]]:
    return {edge for edge in stage.walked if edge[0]}


def walk(stage: Stage, examples: int, *, of_round: int | None = None) -> None:
    """So many examples; those of a round are always the same."""

    def machine() -> Lifecycle:
        return Lifecycle(stage)

    run_state_machine_as_test(
        seed(of_round)(machine) if of_round else machine,  # type: ignore[arg-type]
        settings=hypothesis_settings(
            max_examples=examples,
            stateful_step_count=51,  # the first chooses the policy
            deadline=None,
            derandomize=of_round is not None,
            phases=[Phase.generate, Phase.shrink],  # to explain a failure takes minutes more
            print_blob=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )

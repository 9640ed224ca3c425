"""What waits for a maintenance window, or for a region that is closed: where people see it, and not for good."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db.models.functions import Now

from migrations_app import actions, preflight, published, queries
from migrations_app.engine import executor
from migrations_app.engine.executor import run_move
from migrations_app.errors import Refused
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.states import Kind, RunStatus, Status, Step, Strategy
from migrations_app.steps import requested
from tests.test_engine import StandIn


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> App:
    """In `us`, to be moved to `eu` by steps that are stand-ins, but for the first."""
    steps = {step: StandIn(step, []) for step in Step}
    steps[Step.REQUESTED].on_do = requested.do
    monkeypatch.setattr(executor, "STEPS", steps)
    monkeypatch.setattr(preflight, "preflight", lambda move, *checks: [])
    us = Region.objects.create(slug="us", database="host=us")
    Region.objects.create(slug="eu", database="host=eu")
    return App.objects.create(slug="shop", database="shop", region=us)


def opens_at(slug: str, at: datetime, minutes: int = 60) -> None:
    Region.objects.filter(slug=slug).update(window_day=at.weekday(), window_opens=at.time(), window_minutes=minutes)


def in_hours(hours: int) -> datetime:
    return (datetime.now(UTC) + timedelta(hours=hours)).replace(second=0, microsecond=0)


def request() -> AppMigration:
    return actions.request_move(app_slug="shop", dest_slug="eu", acting_user=None, reason="a test")


def run(move: AppMigration) -> AppMigration:
    AppMigration.objects.filter(pk=move.pk).update(due_at=Now())
    run_move(move.pk)
    return queries.move(move.pk, viewer=None)


def completed(app: App) -> AppMigration:
    move = AppMigration.objects.create(
        app=app,
        source_region=app.region,
        dest_region=Region.objects.get(slug="eu"),
        status=Status.COMPLETED,
        pivot_at=Now(),
    )
    SourceReplica.objects.create(migration=move, app=app, region=app.region)
    App.objects.filter(pk=app.pk).update(region=move.dest_region)
    return move


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("slug", ["us", "eu"])
def test_a_move_waits_where_people_see_it_until_the_window_opens(app: App, slug: str) -> None:
    opening = in_hours(5)
    opens_at(slug, opening)
    move = request()
    waiting = run(move)
    step = published.steps_of(waiting)[0]
    assert (waiting.status, waiting.current_step, step["state"]) == (
        Status.QUEUED,
        Step.REQUESTED,
        RunStatus.WAITING,
    )
    assert f"opens {opening:%Y-%m-%d %H:%M} UTC" in step["reason"]
    assert not waiting.fact("slot")
    assert published.circumstances(waiting)["earliest_start"] == opening
    opens_at(slug, in_hours(-1), 120)
    assert run(move).status == Status.COMPLETED
    assert move.step_runs.filter(step=Step.REQUESTED).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_move_waits_until_both_windows_are_open(app: App) -> None:
    opens_at("us", in_hours(-1), 12 * 60)
    opens_at("eu", in_hours(3))
    assert f"opens {in_hours(3):%Y-%m-%d %H:%M}" in published.steps_of(run(request()))[0]["reason"]


@pytest.mark.django_db(transaction=True)
def test_a_reverse_waits_for_no_window(app: App) -> None:
    move = completed(app)
    opens_at("us", in_hours(5))
    opens_at("eu", in_hours(50))
    assert run(actions.reverse(move_id=move.pk, acting_user=None, reason="a test")).status == Status.COMPLETED


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("slug", ["us", "eu"])
@pytest.mark.parametrize("kind", Kind)
def test_a_region_that_closes_holds_back_what_is_queued(app: App, slug: str, kind: Kind) -> None:
    if kind is Kind.MOVE:
        move = request()
    else:
        move = actions.reverse(move_id=completed(app).pk, acting_user=None, reason="a test")
    Region.objects.filter(slug=slug).update(accepts_moves=False)
    waiting = run(move)
    assert (waiting.status, published.steps_of(waiting)[0]["reason"]) == (
        Status.QUEUED,
        f"Waits: {slug} is closed to moves.",
    )
    Region.objects.filter(slug=slug).update(accepts_moves=True)
    assert run(move).status == Status.COMPLETED


@pytest.mark.django_db(transaction=True)
def test_a_queued_move_waits_when_the_windows_are_changed_so_that_they_never_meet(app: App) -> None:
    move = request()
    opens_at("us", in_hours(5))
    opens_at("eu", in_hours(50))
    assert "never meet" in published.steps_of(run(move))[0]["reason"]


@pytest.mark.django_db
def test_a_move_between_regions_whose_windows_never_meet_is_refused_and_a_reverse_is_not(app: App) -> None:
    opens_at("us", in_hours(5))
    opens_at("eu", in_hours(50))
    with pytest.raises(Refused) as refused:
        request()
    assert (refused.value.code, AppMigration.objects.exists()) == ("windows_never_meet", False)
    move = completed(app)
    assert actions.reverse(move_id=move.pk, acting_user=None, reason="a test").strategy == Strategy.REVERSE

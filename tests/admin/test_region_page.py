"""A region's page and row: open or closed, what is there, what comes and goes; to each what they see."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app import workers
from migrations_app.dashboard.display import list_of, page_of
from migrations_app.dashboard.regions_now import RegionNow, regions_now
from migrations_app.engine.reconciler import HEARTBEAT
from migrations_app.models import Alarm, AppMigration, Heartbeat, Region
from migrations_app.states import Status
from tests import on_paper
from tests.admin.pages import page
from tests.people import person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _watched(monkeypatch: Any) -> None:
    """The reconciler was heard of, and one worker listens in eu-west-1."""
    Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": timezone.now()})
    monkeypatch.setattr(workers, "alive", lambda: Counter({"eu-west-1": 1}))


@pytest.fixture
def busy() -> Region:
    """eu-west-1: of each team an app that came, with a replica in us-east-1, one on its way there, and one that left a
    replica there."""
    for team in ("team-a", "secret-team"):
        on_paper.completed(on_paper.app(f"{team}-came", owner=team))
        on_paper.completed(on_paper.app(f"{team}-left", owner=team, home="eu-west-1"), dest="us-east-1")
        on_paper.move(on_paper.app(f"{team}-coming", owner=team), status=Status.RUNNING)
        on_paper.move(on_paper.app(f"{team}-asked", owner=team), status=Status.QUEUED)
    return Region.objects.get(slug="eu-west-1")


@pytest.fixture
def watcher() -> User:
    return person("wanda", "Viewer", "team-a")


def the_page(user: User, region: Region) -> str:
    return page(user, "migrations_app_region_change", region.pk).content.decode()


def the_row(user: User, slug: str) -> str:
    html = page(user, "migrations_app_region_changelist").content.decode()
    [row] = [row for row in re.findall(r"<tr>.*?</tr>", html, re.S) if f">{slug}</a>" in row]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", row)).strip()


def now_in(region: Region, viewer: User | None) -> RegionNow:
    [now] = regions_now([region], viewer)
    return now


# -- what is counted ---------------------------------------------------------------------------------------------------


def test_who_sees_every_team_is_told_of_all_that_is_there(busy: Region, operator: User) -> None:
    now = now_in(busy, operator)
    assert (now.apps, now.moves, now.replicas, now.replica_bytes) == (2, 2, 2, 10 * 10**9)


def test_counts_are_of_what_one_sees(busy: Region, watcher: User) -> None:
    now = now_in(busy, watcher)
    assert (now.apps, now.moves, now.replicas, now.replica_bytes) == (1, 1, 1, 5 * 10**9)
    assert now_in(busy, person("norma", "", "team-a")).apps == 0


def test_what_has_not_begun_takes_no_place(busy: Region, operator: User) -> None:
    AppMigration.objects.filter(status=Status.RUNNING).update(status=Status.AWAITING_APPROVAL)
    assert now_in(busy, operator).moves == 0
    AppMigration.objects.filter(status=Status.AWAITING_APPROVAL).update(status=Status.HELD)
    assert now_in(busy, operator).moves == 2


def test_the_cost_is_that_of_its_replicas(busy: Region, operator: User) -> None:
    busy.cost_per_gb_month_usd = 2
    assert str(now_in(busy, operator).monthly_cost_usd) == "20.00"


def test_regions_are_asked_about_all_at_once(busy: Region, operator: User) -> None:
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            regions_now(Region.objects.all(), User.objects.get(pk=operator.pk))
        return len(queries)

    for_two = asked()
    for number in range(5):
        on_paper.completed(on_paper.app(f"app-{number}", home=f"region-{number}"), dest=f"dest-{number}")
    assert asked() == for_two


# -- the page and the row ----------------------------------------------------------------------------------------------


def test_the_page_has_apps_replicas_and_moves_of_the_region(busy: Region, operator: User) -> None:
    html = the_page(operator, busy)
    assert "Moves may come to eu-west-1 and leave it." in html
    assert "2 of 2 that may be at once" in html
    for name in ("came", "coming", "left"):
        assert f"team-a-{name}" in html
    coming = AppMigration.objects.get(app__slug="team-a-coming")
    assert page_of(coming) in html.split("Comes and goes now")[1].split("Last moves")[0]
    came = AppMigration.objects.get(app__slug="team-a-came")
    assert page_of(came) in html.split("Last moves")[1]


def test_the_page_names_and_counts_nothing_of_other_teams(busy: Region, watcher: User) -> None:
    html = the_page(watcher, busy)
    assert "secret" not in html
    assert "Apps there (1)" in html
    assert "Replicas there (1)" in html
    assert "1 that you see; 2 may be at once, of all teams" in html
    stranger = the_page(person("sam", "Viewer", "team-b"), busy)
    assert "No app that you see lives there." in stranger
    assert "No replica is kept there." in stranger
    assert "Nothing is on its way." in stranger
    assert "No move has ended." in stranger


def test_the_row_counts_what_one_sees(busy: Region, operator: User, watcher: User) -> None:
    assert "✓ open 2 2 of 2 2, 10.0 GB, $0.00 a month 1 ✓ well" in the_row(operator, "eu-west-1")
    assert "✓ open 1 1 seen 1, 5.0 GB, $0.00 a month 1 · unknown" in the_row(watcher, "eu-west-1")


def test_a_closed_region_says_so(busy: Region, operator: User) -> None:
    Region.objects.filter(pk=busy.pk).update(accepts_moves=False)
    assert "eu-west-1 is closed: no move may come or leave." in the_page(operator, busy)
    assert "closed" in the_row(operator, "eu-west-1")
    assert "icons/quiet.svg" in the_page(operator, busy)


def test_alarms_of_the_region_are_shown_to_those_who_see_every_team(
    busy: Region, operator: User, watcher: User
) -> None:
    assert "✓ well" in the_row(operator, "eu-west-1")
    Alarm.objects.create(code="region_away", about="region eu", sentence="It does not <b>answer</b>", region=busy)
    Alarm.objects.create(code="redis_away", about="redis", sentence="Redis is away")
    html = the_page(operator, busy)
    assert "icons/bad.svg" in html
    assert "It does not &lt;b&gt;answer" in html
    assert "Redis is away" not in html
    assert list_of(Alarm, region__id__exact=busy.pk) in html
    assert "1 alarm" in the_row(operator, "eu-west-1")
    assert "✓ well" in the_row(operator, "us-east-1")
    assert "answer" not in the_page(watcher, busy)
    assert "who sees every team is told of alarms" in the_page(watcher, busy)


def test_nobody_says_well_while_the_reconciler_is_silent(busy: Region, operator: User) -> None:
    Heartbeat.objects.all().delete()
    assert "well" not in the_row(operator, "eu-west-1")
    assert "unknown: the reconciler is silent" in the_page(operator, busy)


def test_workers_are_told_or_unknown(busy: Region, operator: User, monkeypatch: Any) -> None:
    us = Region.objects.get(slug="us-east-1")
    assert "manage.py work us-east-1" in the_page(operator, us)
    assert "manage.py work" not in the_page(operator, busy)
    monkeypatch.setattr(workers, "alive", lambda: None)
    assert "unknown: Redis does not answer" in the_page(operator, us)
    assert "! unknown" in the_row(operator, "us-east-1")


def test_what_is_wrong_is_said_before_that_the_region_is_open(busy: Region, operator: User, monkeypatch: Any) -> None:
    def head() -> str:
        found = re.search(r'<p class="standing-head">(.*?)</p>', the_page(operator, busy), re.DOTALL)
        assert found is not None
        return re.sub(r"<[^>]+>", "", found[1])

    assert head().startswith("✓ open Moves may come to eu-west-1 and leave it.")
    monkeypatch.setattr(workers, "alive", lambda: Counter({"eu-west-1": 0}))
    assert head().startswith("! open No worker is there: a move to eu-west-1 would wait. By the books moves may come")
    Alarm.objects.create(code="region_away", about="region eu-west-1", sentence="It is away.", region=busy)
    assert head().startswith("✗ open eu-west-1 is away: its database does not answer. By the books moves may come")


def test_of_very_many_apps_the_first_are_named(busy: Region, operator: User, monkeypatch: Any) -> None:
    monkeypatch.setattr("migrations_app.dashboard.region_page.MOST_SHOWN", 1)
    html = the_page(operator, busy)
    assert "The first 1." in html
    assert ">All 2</a>" in html


def test_the_page_to_add_a_region_has_nothing_to_tell(admin: User) -> None:
    html = page(admin, "migrations_app_region_add").content.decode()
    assert "Apps there" not in html
    assert 'name="slug"' in html

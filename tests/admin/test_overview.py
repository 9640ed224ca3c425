"""The first page: what presses is on top, what is mine comes first, and nothing is shown that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import parse_qsl

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.urls import reverse

from migrations_app import actions, bell
from migrations_app.dashboard import overview_blocks, shared
from migrations_app.dashboard.shared import PREFIX
from migrations_app.engine.reconciler import HEARTBEAT
from migrations_app.models import Alarm, App, AppMigration, Heartbeat, Region, SourceReplica, StepRun
from migrations_app.models.alarm import AlarmCode
from migrations_app.states import RunStatus, Status
from tests import on_paper
from tests.admin.pages import page
from tests.people import person

pytestmark = pytest.mark.django_db


def overview(user: User) -> str:
    html: str = page(user, "index").content.decode()
    return html


def block(html: str, name: str) -> str:
    """The inside of a block of the page."""
    found = re.search(rf'<div id="f-{name}">(.*?)</div><div|<div id="f-{name}">(.*?</section>)', html, re.DOTALL)
    assert found is not None
    return found[1] or found[2]


def test_a_held_move_stands_above_all_with_its_sentence(shop: App, operator: User) -> None:
    move = on_paper.move(
        shop,
        status=Status.HELD,
        current_step="unblocking_writes",
        pivot_at=Now(),
        writes_blocked_at=Now(),
        step_started_at=Now(),
        last_error="The edge does not answer.",
    )
    began = Now() - timedelta(hours=2)
    AppMigration.objects.update(step_started_at=began)
    StepRun.objects.create(
        migration=move, step="unblocking_writes", status=RunStatus.FAILED, ended_at=Now() - timedelta(minutes=5)
    )
    html = overview(operator)
    assert html.index('id="held"') < html.index('id="running"')
    held = block(html, "held")
    assert "The move stopped at unblocking_writes." in held
    assert "The edge does not answer." in held
    assert "Writes may still be blocked, and nothing ends that by itself: so for" in held
    assert re.search(r"stopped <time [^>]*>5 min \d\d s</time> ago", held), "since it stopped, not since the step began"
    assert "Retry or Reverse" in held
    assert str(move.pk) in held
    assert "<title>! 1 held |" in html


def test_a_running_move_tells_step_bar_rate_and_what_is_left(shop: App, operator: User) -> None:
    move = on_paper.move(
        shop,
        status=Status.RUNNING,
        strategy="live",
        current_step="dumping_data",
        step_started_at=Now(),
        estimate={"steps": {step: {"seconds": 1.0} for step in _STEPS}},
    )
    progress = {
        "unit": "bytes",
        "done": 40_000_000,
        "total": 100_000_000,
        "rows": 7,
        "blobs": None,
        "rate": 2_000_000.0,
        "seconds_left": 30.0,
        "lag_bytes": 1000,
        "lag_seconds": 0.5,
        "tables": {},
    }
    StepRun.objects.create(migration=move, step="dumping_data", status=RunStatus.RUNNING, progress=progress)
    running = block(overview(operator), "running")
    assert "Step 3 of 11, dumping_data" in running
    assert '<progress value="2.4" max="11"' in running, "two steps, and 40 of 100 of the third"
    assert "40 %: 40.0 MB of 100.0 MB, 7 rows, 2.0 MB/s, 30 s left, lag 1.0 kB (0.5 s)" in running
    left = re.search(r'data-until="[^"]+">(\d+) s</time> left', running)
    assert left is not None
    assert 36 <= int(left[1]) <= 37, "30 of this step, and a second for each of the seven to come"


_STEPS = (
    "restoring_data",
    "copying_blobs",
    "copying_runtime",
    "blocking_writes",
    "flipping_routing",
    "setting_up_reverse_replication",
    "unblocking_writes",
)


def test_nobody_guesses_what_is_left_when_a_step_was_never_measured(shop: App, operator: User) -> None:
    on_paper.move(shop, status=Status.RUNNING, current_step="dumping_data", step_started_at=Now(), estimate=None)
    assert "left</span>" not in block(overview(operator), "running")


def test_what_i_may_decide_on_comes_first(shop: App, approver: User, requester: User) -> None:
    both = person("bo", "Admin", "team-a")
    mine = on_paper.app("mine")
    actions.request_move(app_slug=mine.slug, dest_slug="eu-west-1", acting_user=both, reason="asked first")
    actions.request_move(app_slug="shop", dest_slug="eu-west-1", acting_user=requester, reason="asked later")
    waiting = block(overview(both), "waiting")
    assert waiting.index("asked later") < waiting.index("asked first")
    assert waiting.count("Look and decide") == 1
    assert "you asked for it" in waiting
    assert "Look and decide" not in block(overview(requester), "waiting")


def test_a_replica_that_wants_a_look_comes_before_the_others(shop: App, operator: User) -> None:
    on_paper.completed(shop)
    other = on_paper.completed(on_paper.app("other", home="us-east-1"))
    SourceReplica.objects.filter(migration=other).update(review_at=Now() - timedelta(days=2))
    replicas = block(overview(operator), "replicas")
    assert replicas.index("other in us-east-1") < replicas.index("shop in us-east-1")
    assert "overdue for" in replicas


def test_every_block_that_is_empty_says_so_and_what_to_do(operator: User, requester: User) -> None:
    on_paper.region("us-east-1")
    html = overview(requester)
    for name, said in (
        ("running", "No move is running."),
        ("waiting", "Nothing waits for approval."),
        ("scheduled", "Nothing waits for its time."),
        ("replicas", "No replica is kept"),
    ):
        inside = re.search(r'<p class="none">(.*?)</p>', block(html, name), re.DOTALL)
        assert inside is not None
        assert said in inside[1]
        assert inside[1].count("<a ") == 1, name
    assert 'id="held"' not in html


@pytest.mark.parametrize(
    ("name", "among", "others"),
    [("running", [Status.RUNNING, Status.ABORTING], Status.QUEUED), ("scheduled", [Status.QUEUED], Status.RUNNING)],
)
def test_more_leads_to_just_those(
    name: str, among: list[Status], others: Status, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview_blocks, "MOST", 1)
    monkeypatch.setattr(overview_blocks, "FEW", 1)
    for number in range(4):
        on_paper.move(on_paper.app(f"one-{number}"), status=among[number % len(among)])
    on_paper.move(on_paper.app("another"), status=others)
    more = re.search(r'And <a href="([^"?]*)\?([^"]*)">3 more</a>', block(overview(operator), name))
    assert more is not None
    html = page(operator, "migrations_app_appmigration_changelist", **dict(parse_qsl(more[2]))).content.decode()
    assert [f">one-{number}<" in html for number in range(4)] == [True] * 4
    assert ">another<" not in html


def test_alarms_of_a_kind_do_not_hide_the_others(operator: User) -> None:
    for number in range(5):
        Alarm.objects.create(code=AlarmCode.REPLICA_LAGS, about=f"replica {number}", sentence=f"Number {number} lags.")
    Alarm.objects.create(code=AlarmCode.REDIS_AWAY, about="redis", sentence="Redis is away.")
    Heartbeat.objects.create(name=HEARTBEAT)
    html = block(overview(operator), "alarms")
    assert ">6 alarms<" in html
    assert re.findall(r"Number \d|Redis", html) == ["Redis", "Number 4", "Number 3", "Number 2"]
    more = re.search(r'<a href="([^"?]*)\?([^"]*)">2 more like this</a>', html)
    assert more is not None
    listed = page(operator, "migrations_app_alarm_changelist", **dict(parse_qsl(more[2]))).content.decode()
    assert [f"Number {number} lags." in listed for number in range(5)] == [True] * 5
    assert "Redis is away." not in listed


def test_without_regions_nobody_is_led_where_they_may_not_go(operator: User) -> None:
    regions = block(overview(operator), "regions")
    assert "No region is on the books. An admin adds them." in regions
    assert reverse("admin:migrations_app_region_add") not in regions


def test_teams_are_a_place_for_those_who_may_look_at_them(admin: User, operator: User) -> None:
    found = {user: re.findall(r'<a href="([^"]*)"[^>]*>Teams</a>', overview(user)) for user in (admin, operator)}
    assert found == {admin: [reverse("admin:auth_group_changelist")], operator: []}


def test_moves_and_apps_of_other_teams_are_neither_shown_nor_counted(shop: App) -> None:
    on_paper.move(shop, status=Status.RUNNING, current_step="dumping_data", step_started_at=Now())
    html = overview(person("sam", "Viewer", "team-b"))
    assert "shop" not in html
    assert "No move is running." in html
    home = Region.objects.get(slug="us-east-1")
    row = re.search(rf'<tr id="region-{home.slug}".*?</tr>', html, re.DOTALL)
    assert row is not None
    assert re.findall(r'<td [^>]*class="count">([^<]*)</td>', row[0])[:2] == ["0", "0 seen"]


def test_who_has_no_role_is_told_so(shop: App) -> None:
    html = overview(person("nora"))
    assert "Your login has no role yet." in html
    assert AppMigration.objects.count() == 0
    assert "us-east-1" not in html


@pytest.fixture
def kept(settings: LazySettings) -> Iterator[None]:
    settings.MOVES_OVERVIEW_SECONDS = 60
    forget()
    yield
    forget()


def forget() -> None:
    """What is kept here and in Redis."""
    shared._here.clear()
    with bell.connect() as store:
        for key in store.scan_iter(f"{PREFIX}*"):
            store.delete(key)


def test_the_teams_of_a_filter_are_kept_for_those_who_see_the_same(shop: App, operator: User, kept: None) -> None:
    on_paper.app("till", owner="secret-team")
    lists = [
        page(who, "migrations_app_app_changelist").content.decode()
        for who in (operator, person("vera", "Viewer", "team-a"))
    ]
    assert ["secret-team" in html for html in lists] == [True, False]


def test_what_is_kept_for_a_moment_is_for_those_who_see_the_same(shop: App, operator: User, kept: None) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, current_step="dumping_data", step_started_at=Now())
    ours, theirs = (person(name, "Viewer", team) for name, team in (("vera", "team-a"), ("sam", "team-b")))
    assert "shop" in block(overview(ours), "running")
    assert "shop" not in overview(theirs)
    assert "shop" in block(overview(operator), "running")
    AppMigration.objects.filter(pk=move.pk).update(status=Status.HELD)
    colleague = person("vic", "Viewer", "team-a")
    assert "shop" in block(overview(colleague), "running"), "kept for all of the team"
    forget()
    assert "No move is running." in block(overview(colleague), "running")


def test_what_waits_for_me_is_never_kept(shop: App, requester: User, approver: User, kept: None) -> None:
    assert "Nothing waits for approval." in block(overview(approver), "waiting")
    actions.request_move(app_slug="shop", dest_slug="eu-west-1", acting_user=requester, reason="closer")
    assert "Look and decide" in block(overview(approver), "waiting")
    assert "Look and decide" not in block(overview(requester), "waiting")


def test_nobody_is_told_that_a_region_is_well_who_cannot_know(shop: App, operator: User) -> None:
    on_paper.region("us-east-1")
    assert "✓</span> well" not in block(overview(operator), "regions"), "the reconciler is silent"
    Heartbeat.objects.create(name=HEARTBEAT)
    assert "✓</span> well" in block(overview(operator), "regions")
    assert "✓</span> well" not in block(overview(person("vera", "Viewer", "team-a")), "regions")

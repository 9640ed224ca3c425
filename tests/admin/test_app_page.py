"""An app's page: where it lives, whether there is a way back, and where it lived when."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from migrations_app import queries
from migrations_app.dashboard.charts import WIDTH
from migrations_app.dashboard.display import page_of
from migrations_app.dashboard.history import Map, map_of
from migrations_app.models import App, AppMigration, SourceReplica
from migrations_app.states import Kind, ReplicaState, Status, Strategy
from tests import on_paper
from tests.admin.pages import open_and_shut, page
from tests.people import person

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def now() -> datetime:
    return timezone.now()


@pytest.fixture
def old(shop: App, now: datetime) -> App:
    """On the books for 100 days."""
    App.objects.filter(pk=shop.pk).update(created_at=now - 100 * DAY)
    return App.objects.get(pk=shop.pk)


def moved(app: App, dest: str, at: datetime, **fields: object) -> AppMigration:
    """A move that switched then; a replica is left and retained, and the one there was is over."""
    app.refresh_from_db()
    SourceReplica.objects.filter(app=app).update(state=ReplicaState.TORN_DOWN, ended_at=at)
    move = on_paper.completed(app, dest)
    AppMigration.objects.filter(pk=move.pk).update(initiated_at=at, pivot_at=at, completed_at=at, **fields)
    SourceReplica.objects.filter(migration=move).update(created_at=at)
    return AppMigration.objects.get(pk=move.pk)


def the_map(app: App, now: datetime) -> Map:
    return map_of(App.objects.get(pk=app.pk), now, queries.every_region())


def the_page(user: User, app: App) -> str:
    return page(user, "migrations_app_app_change", app.pk).content.decode()


# -- the map -----------------------------------------------------------------------------------------------------------


def test_an_app_that_was_never_moved_has_lived_where_it_lives(old: App, now: datetime) -> None:
    drawn = the_map(old, now)
    [stay] = drawn.stays
    assert (stay.region, stay.since, stay.until) == (old.region, old.created_at, None)
    [bar] = drawn.bars
    assert (bar.x, bar.width, bar.is_now) == (0, WIDTH, True)
    assert (drawn.switches, drawn.kept) == ([], [])


def test_stays_follow_each_other_from_switch_to_switch(old: App, now: datetime) -> None:
    first = moved(old, "eu-west-1", now - 60 * DAY)
    second = moved(old, "us-east-1", now - 20 * DAY)
    drawn = the_map(old, now)
    assert [(str(stay.region), stay.since, stay.until, stay.by) for stay in drawn.stays] == [
        ("us-east-1", old.created_at, first.pivot_at, None),
        ("eu-west-1", first.pivot_at, second.pivot_at, first),
        ("us-east-1", second.pivot_at, None, second),
    ]
    assert [(bar.x, bar.width) for bar in drawn.bars] == [(0, 400), (400, 400), (800, 200)]
    assert [bar.is_now for bar in drawn.bars] == [False, False, True]


def test_a_lane_for_each_region_holds_its_stays_and_replicas(old: App, now: datetime) -> None:
    moved(old, "eu-west-1", now - 50 * DAY)
    drawn = the_map(old, now)
    assert [region.slug for region in drawn.regions] == ["eu-west-1", "us-east-1"]
    before, after = drawn.bars
    [replica] = drawn.kept
    assert replica.y > drawn.height / 2, "in us-east-1, the lower lane"
    assert before.y > drawn.height / 2 > after.y
    assert (replica.x, replica.x + replica.width) == (500, WIDTH)
    [switch] = drawn.switches
    assert switch.y1 > switch.y2


def test_a_replica_ends_where_it_was_torn_down(old: App, now: datetime) -> None:
    move = moved(old, "eu-west-1", now - 50 * DAY)
    ended = now - 25 * DAY
    SourceReplica.objects.filter(migration=move).update(state=ReplicaState.TORN_DOWN, ended_at=ended)
    [replica] = the_map(old, now).kept
    assert (replica.x, replica.width, replica.is_now) == (500, 250, False)
    assert the_map(old, now).kept_now is None


@pytest.mark.parametrize(
    "fields",
    [
        {"status": Status.ABORTED},
        {"status": Status.RUNNING},
        {"kind": Kind.REHEARSAL, "strategy": Strategy.REHEARSAL, "status": Status.COMPLETED},
    ],
)
def test_what_never_switched_moved_nothing(old: App, now: datetime, fields: dict[str, str]) -> None:
    on_paper.move(old, **fields)
    assert len(the_map(old, now).stays) == 1


def test_moves_that_ended_without_a_switch_are_marked_where_the_app_stayed(old: App, now: datetime) -> None:
    aborted = on_paper.move(old, status=Status.ABORTED, completed_at=now)
    rehearsed = on_paper.move(
        old, kind=Kind.REHEARSAL, strategy=Strategy.REHEARSAL, status=Status.COMPLETED, completed_at=now
    )
    [mark] = map_of(old, now, queries.every_region(), [aborted, rehearsed]).attempts
    assert (mark.href, mark.x) == (page_of(aborted), WIDTH)
    assert mark.y1 == mark.y2
    assert "aborted" in mark.text


def test_what_was_held_after_its_switch_moved_the_app(old: App, now: datetime) -> None:
    on_paper.move(old, status=Status.HELD, pivot_at=now - DAY)
    assert [str(stay.region) for stay in the_map(old, now).stays] == ["us-east-1", "eu-west-1"]


def test_of_very_many_moves_the_last_are_drawn(old: App, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migrations_app.dashboard.history.MOST", 2)
    for number, dest in enumerate(("eu-west-1", "us-east-1", "eu-west-1")):
        last = moved(old, dest, now - (50 - number) * DAY)
    drawn = the_map(old, now)
    assert [str(stay.region) for stay in drawn.stays] == ["us-east-1", "eu-west-1"]
    assert drawn.stays[-1].by == last
    assert not drawn.is_whole


def test_short_stays_are_seen_and_nothing_leaves_the_map(old: App, now: datetime) -> None:
    for number, dest in enumerate(("eu-west-1", "us-east-1", "eu-west-1")):
        moved(old, dest, now - timedelta(seconds=3 - number))
    drawn = the_map(old, now)
    assert all(bar.width >= 3 and bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in drawn.bars + drawn.kept)


# -- the page ----------------------------------------------------------------------------------------------------------


def test_the_page_tells_where_it_lives_and_that_there_is_no_way_back(shop: App, requester: User) -> None:
    html = the_page(requester, shop)
    assert "shop lives in" in html
    assert "No way back is kept" in html
    assert "It was never moved." in html
    assert open_and_shut(page(requester, "migrations_app_app_change", shop.pk)) == ({"Move it"}, set())
    assert f'href="{reverse("admin:new_move")}?app=shop"' in html
    assert "Move it" not in the_page(person("vera", "Viewer", "team-a"), shop)


def test_moves_and_replicas_are_linked_from_map_and_table(old: App, now: datetime, operator: User) -> None:
    blocked = {"writes_blocked_at": now - 50 * DAY, "writes_unblocked_at": now - 50 * DAY + timedelta(seconds=7)}
    move = moved(old, "eu-west-1", now - 50 * DAY, **blocked)
    html = the_page(operator, old)
    assert html.count(f'href="{page_of(move)}"') >= 4, "the map, its table, the list, the chart and its table"
    assert html.count(f'href="{page_of(move.source_replica)}"') >= 3, "the sentence, the map and its table"
    assert "The way back to us-east-1 is open" in html
    assert "7.0 s" in html
    assert re.search(r"<svg[^>]*role=\"group\"[^>]*aria-label=\"Where shop lived when\.", html)


def test_a_move_under_way_is_said_on_top(waiting: AppMigration, requester: User) -> None:
    html = the_page(requester, waiting.app)
    top = html.split("Where it lived when")[0]
    assert "awaiting approval" in top
    assert f'href="{page_of(waiting)}"' in top


def test_the_page_asks_no_more_for_more_moves(old: App, now: datetime, operator: User) -> None:
    client = Client()
    client.force_login(operator)

    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(page_of(old)).status_code == 200
        return len(queries)

    moved(old, "eu-west-1", now - 60 * DAY)
    for_one = asked()
    for number, dest in enumerate(("us-east-1", "eu-west-1", "us-east-1")):
        moved(old, dest, now - (50 - number) * DAY)
    assert asked() == for_one <= 15


def test_no_id_is_there_twice(old: App, now: datetime, operator: User) -> None:
    moved(old, "eu-west-1", now - 50 * DAY)
    ids = re.findall(r' id="([^"]+)"', the_page(operator, old))
    assert len(ids) == len(set(ids))


def test_names_on_the_map_are_escaped(old: App, now: datetime, operator: User) -> None:
    move = moved(old, "eu-west-1", now - 50 * DAY)
    SourceReplica.objects.filter(migration=move).update(problem="<script>1</script>")
    assert "<script>1" not in the_page(operator, old)


def test_the_team_is_a_link_for_those_only_who_may_look_at_it(shop: App, operator: User) -> None:
    team = reverse("admin:auth_group_change", args=[shop.owner_id])
    viewer = person("vera", "Viewer", "team-a")
    html = the_page(viewer, shop)
    assert "team-a" in html
    assert team not in html
    viewer.user_permissions.add(Permission.objects.get(codename="view_group"))
    assert team in the_page(User.objects.get(pk=viewer.pk), shop)


def test_the_form_is_one_press_further_for_those_who_may_use_it(shop: App, operator: User) -> None:
    viewer = person("vera", "Viewer", "team-a")
    seen = {}
    for user in (operator, viewer):
        client = Client()
        client.force_login(user)
        read, edit = (client.get(page_of(shop) + query).content.decode() for query in ("", "?edit"))
        seen[user] = ('href="?edit"' in read, 'name="owner"' in read, 'name="owner"' in edit)
    assert seen == {operator: (True, False, True), viewer: (False, False, False)}

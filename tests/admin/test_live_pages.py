"""Pages that keep themselves current: what a poll with a cursor brings, and when it is the last."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from migrations_app.dashboard import display
from migrations_app.models import App, AppMigration, SourceReplica, StepRun
from migrations_app.states import ReplicaState, RunStatus, Status
from tests import on_paper
from tests.admin.pages import of_move, page
from tests.people import person

pytestmark = pytest.mark.django_db


@pytest.fixture
def running(shop: App) -> AppMigration:
    move = on_paper.move(shop, status=Status.RUNNING, current_step="dumping_data", step_started_at=Now())
    for step, status in (("requested", RunStatus.DONE), ("dumping_data", RunStatus.RUNNING)):
        ended = Now() if status == RunStatus.DONE else None
        StepRun.objects.create(migration=move, step=step, status=status, ended_at=ended)
    return move


@pytest.fixture
def client(operator: User) -> Client:
    client = Client()
    client.force_login(operator)
    return client


def poll(client: Client, page: Any) -> Any:
    """What the page's own poll is answered; `page` may be news as well."""
    found = re.search(r'hx-get="([^"]+)"', page.content.decode())
    assert found is not None
    return client.get(found[1].replace("&amp;", "&"))


def brought(response: Any) -> set[str]:
    return set(re.findall(r'id="f-([^"]+)" hx-swap-oob', response.content.decode()))


def test_a_poll_brings_nothing_while_nothing_has_changed(running: AppMigration, client: Client, operator: User) -> None:
    assert poll(client, of_move(operator, running)).status_code == 204


def test_time_that_goes_on_is_no_change(
    running: AppMigration, client: Client, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = of_move(operator, running)
    monkeypatch.setattr(display, "ticking", lambda seconds: "much later")
    assert "much later" in of_move(operator, running).content.decode()
    assert poll(client, page).status_code == 204


def test_a_poll_brings_what_has_changed_and_nothing_else(running: AppMigration, client: Client, operator: User) -> None:
    page = of_move(operator, running)
    acts = [{"at": "2026-01-01T00:00:00+00:00", "text": "Dumped 5 tables."}]
    StepRun.objects.filter(step="dumping_data").update(acts=acts)
    news = poll(client, page)
    assert brought(news) == {"step-dumping_data"}
    assert "Dumped 5 tables." in news.content.decode()
    assert poll(client, news).status_code == 204, "the news carry the next cursor"


@pytest.mark.parametrize("cursor", ["", "nonsense", "a.b.c", "." * 500])
def test_a_cursor_that_is_none_brings_everything(running: AppMigration, client: Client, cursor: str) -> None:
    news = client.get(reverse("admin:move_live", args=[running.pk]), {"cursor": cursor})
    assert {"standing", "facts", "step-requested", "step-completed"} <= brought(news)


def test_polling_ends_when_nothing_can_change_any_more(shop: App, client: Client, operator: User) -> None:
    move = on_paper.completed(shop)
    assert "hx-trigger" in of_move(operator, move).content.decode(), "how far the replica is behind changes"
    page = of_move(operator, move)
    SourceReplica.objects.update(state=ReplicaState.TORN_DOWN)
    last = poll(client, page).content.decode()
    assert "hx-trigger" not in last
    assert "data-over" in last
    assert "hx-trigger" not in of_move(operator, move).content.decode()


def test_a_replicas_page_keeps_itself_current(shop: App, client: Client, operator: User) -> None:
    replica = on_paper.completed(shop).source_replica
    shown = page(operator, "migrations_app_sourcereplica_change", replica.pk)
    assert "data-acts>Reverse" in shown.content.decode()
    assert poll(client, shown).status_code == 204
    SourceReplica.objects.update(lag_bytes=10**6, lag_seconds=9)
    news = poll(client, shown)
    assert brought(news) == {"standing", "facts"}
    SourceReplica.objects.update(state=ReplicaState.TORN_DOWN)
    last = poll(client, news).content.decode()
    assert "was torn down: there is no way back" in last
    assert "data-acts>Reverse" not in last
    assert "data-over" in last


@pytest.mark.parametrize("name", ["app", "region", "appmigration", "auditevent"])
def test_what_does_not_keep_itself_current_says_as_of_when_it_is(shop: App, operator: User, name: str) -> None:
    pages = [page(operator, f"migrations_app_{name}_changelist")]
    if name in ("app", "region"):
        pages.append(page(operator, f"migrations_app_{name}_change", (shop if name == "app" else shop.region).pk))
    for shown in pages:
        assert re.search(r"<p>As of <time [^>]*>20\d\d-", shown.content.decode())


def test_the_tab_tells_how_it_goes(running: AppMigration, client: Client, operator: User) -> None:
    page = of_move(operator, running)
    assert "<title>▶ 4/11 shop → eu-west-1 |" in page.content.decode()
    assert "icons/busy.svg" in page.content.decode()
    AppMigration.objects.update(status=Status.HELD)
    news = poll(client, page).content.decode()
    assert 'data-title="! shop → eu-west-1"' in news
    assert 'data-tone="bad"' in news


def test_who_is_logged_out_gets_no_login_form_for_news(running: AppMigration) -> None:
    for name, *args in (("overview_live",), ("move_live", running.pk), ("replica_live", running.pk)):
        answer = Client().get(reverse(f"admin:{name}", args=args))
        assert (answer.status_code, answer.content) == (401, b"")


def test_news_of_a_move_out_of_sight_are_none(running: AppMigration) -> None:
    stranger = Client()
    stranger.force_login(person("sam", "Approver", "team-b"))
    for name in ("move_live", "replica_live"):
        assert stranger.get(reverse(f"admin:{name}", args=[running.pk])).status_code == 404


def test_times_are_in_the_users_zone_with_utc_beside(running: AppMigration, client: Client) -> None:
    AppMigration.objects.update(initiated_at="2026-01-15T12:00:00Z")
    address = display.page_of(running)
    utc = '<time datetime="2026-01-15T12:00:00Z" title="2026-01-15 12:00:00 UTC">{}</time>'
    client.cookies["timezone"] = "Europe/Berlin"
    assert utc.format("2026-01-15 13:00:00 CET") in client.get(address).content.decode()
    client.cookies["timezone"] = "../../etc/passwd"
    assert utc.format("2026-01-15 12:00:00 UTC") in client.get(address).content.decode()


def test_nothing_may_be_run_or_loaded_but_the_portals_own(client: Client) -> None:
    policy = client.get("/admin/").headers["Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";") if part.strip())
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert "unsafe" not in policy

"""The page on which a move is asked for."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from migrations_app import offers
from migrations_app.models import App, AppMigration
from migrations_app.states import Kind, Status
from tests import on_paper
from tests.admin.pages import open_and_shut, page, send
from tests.people import person

pytestmark = pytest.mark.django_db

WANTED = {"app": "shop", "dest": "eu-west-1", "strategy": "snapshot", "reason": "closer"}


@pytest.fixture
def found(monkeypatch: Any) -> list[dict[str, Any]]:
    """What preflight finds: to be filled."""
    findings: list[dict[str, Any]] = []
    for module in ("preview", "actions.requesting", "preflight"):
        monkeypatch.setattr(f"migrations_app.{module}.look", lambda row: findings)
    return findings


def finding(outcome: str, words: str, **more: Any) -> dict[str, Any]:
    return {"check": "versions", "id": "P1", "outcome": outcome, "found": words, "why": "", "remedy": "", **more}


def looked(user: User, **chosen: str) -> str:
    return str(page(user, "new_move_look", **(WANTED | chosen)).content.decode())


def test_the_apps_page_leads_to_it(shop: App, requester: User) -> None:
    response = page(requester, "migrations_app_app_change", shop.pk)
    assert open_and_shut(response) == ({"Move it"}, set())
    assert f'href="{reverse("admin:new_move")}?app=shop"' in response.content.decode()


def test_a_move_is_requested(shop: App, requester: User, found: Any) -> None:
    form = page(requester, "new_move", app="shop").content.decode()
    assert "Not before, in UTC" in form
    assert "nothing happens until somebody else approves it" in form
    response = send(requester, "new_move", **WANTED, not_before="2999-01-01T02:00")
    move = AppMigration.objects.get()
    assert response.url == reverse("admin:migrations_app_appmigration_change", args=[move.pk])
    assert (move.status, move.requested_by, move.reason) == (Status.AWAITING_APPROVAL, requester, "closer")
    assert str(move.not_before) == "2999-01-01 02:00:00+00:00"


def test_a_rehearsal_is_requested(shop: App, requester: User, found: Any) -> None:
    assert "Request the rehearsal" in looked(requester, strategy="rehearsal")
    assert send(requester, "new_move", **WANTED | {"strategy": "rehearsal"}).status_code == 302
    assert AppMigration.objects.get().kind == Kind.REHEARSAL


def test_what_the_address_says_is_filled_in(shop: App, requester: User) -> None:
    on_paper.region("ap-south-1")
    html = page(requester, "new_move", **WANTED, ticket_url="https://t.example/7").content.decode()
    assert re.search(r'name="app"[^>]*value="shop"|value="shop"[^>]*name="app"', html)
    assert re.search(r'name="dest" value="eu-west-1" checked', html)
    assert re.search(r'name="strategy" value="snapshot" checked', html)
    assert 'value="https://t.example/7"' in html


def test_the_only_destination_there_is_needs_no_choosing(shop: App, requester: User) -> None:
    assert 'value="eu-west-1" checked' in page(requester, "new_move_where", app="shop").content.decode()
    on_paper.region("ap-south-1")
    assert "checked" not in page(requester, "new_move_where", app="shop").content.decode()


def test_a_closed_region_is_shown_with_why_and_cannot_be_chosen(shop: App, requester: User, found: Any) -> None:
    on_paper.region("ap-south-1", accepts_moves=False)
    html = page(requester, "new_move_where", app="shop").content.decode()
    assert re.search(r'value="ap-south-1" disabled>.*?Region ap-south-1 is closed to moves\.', html, re.DOTALL)
    assert re.search(r'value="us-east-1" disabled>.*?shop already lives in us-east-1\.', html, re.DOTALL)
    response = send(requester, "new_move", **WANTED | {"dest": "ap-south-1"})
    assert response.status_code == 409
    assert "Region ap-south-1 is closed to moves." in response.content.decode()


def test_the_regions_are_looked_at_once(shop: App, requester: User, monkeypatch: Any) -> None:
    asked, look = list[App](), offers.destinations

    def destinations(app: App) -> Any:
        asked.append(app)
        return look(app)

    monkeypatch.setattr(offers, "destinations", destinations)
    page(requester, "new_move", app="shop")
    assert asked == [shop]


def test_apps_of_other_teams_are_neither_offered_nor_found(shop: App, requester: User, found: Any) -> None:
    on_paper.app("secret-app", owner="secret-team")
    html = page(requester, "new_move").content.decode()
    assert '<option value="shop">in us-east-1</option>' in html
    assert "secret" not in html
    response = send(requester, "new_move", **WANTED | {"app": "secret-app"})
    unknown = send(requester, "new_move", **WANTED | {"app": "no-such-app"})
    assert (response.status_code, unknown.status_code) == (400, 400)
    for answer in (response, unknown):
        assert "You see no app of that name." in answer.content.decode()
    assert "Choose an app" in looked(requester, app="secret-app")
    for slug in ("secret-app", "no-such-app"):
        assert "You see no app of that name." in page(requester, "new_move_where", app=slug).content.decode()


def test_who_may_not_ask_gets_no_page(shop: App) -> None:
    viewer = person("vera", "Viewer", "team-a")
    for name in ("new_move", "new_move_where", "new_move_look"):
        assert page(viewer, name, **WANTED).status_code == 403
    assert send(viewer, "new_move", **WANTED).status_code == 403


# -- what is found ----------------------------------------------------------------------------------------------------


def test_what_was_found_is_shown_the_worst_first(shop: App, requester: User, found: Any) -> None:
    found += [finding("pass", ""), finding("warn", "It is old."), finding("fail", "It is too old.")]
    html = looked(requester)
    assert html.index("It is too old.") < html.index("It is old.")
    assert "Preflight says that it would fail: 1 finding." in html
    assert "Preflight has 1 warning." in html
    assert re.search(r"<button[^>]*disabled aria-describedby=\"why-not\"", html)
    assert "Preflight found one thing that would make it fail." in html


def test_the_plan_stands_there_with_what_is_skipped_and_the_switch(shop: App, requester: User, found: Any) -> None:
    html = looked(requester)
    steps = re.findall(r'class="plan-head"><strong[^>]*>(\w+)</strong>', html)
    assert steps[:3] == ["requested", "reserving_dest", "blocking_writes"]
    assert len(steps) == 11
    assert html.count("from here there is only forward") == 1
    assert "plan-skipped" in html, "it has no blobs"


def test_automatic_says_what_it_chose_and_why(shop: App, requester: User, found: Any) -> None:
    html = looked(requester, strategy="auto")
    assert "Nobody knows whether live is possible" in html
    assert "Move shop from us-east-1 to eu-west-1, by snapshot." in html


def test_each_way_says_how_long_it_blocks_writes(shop: App, requester: User, found: Any, monkeypatch: Any) -> None:
    assert looked(requester).count("Writes blocked: nobody has measured it.") == 2
    monkeypatch.setattr("migrations_app.estimates._blocked", lambda row, *rest: 0.5 if row.strategy == "live" else 90.0)
    html = looked(requester)
    assert re.search(r'id="estimate-live"[^>]*>\s*Writes blocked: about 0.5 s', html)
    assert re.search(r'id="estimate-snapshot"[^>]*>\s*Writes blocked: about 1 min 30 s', html)
    assert "Writes are blocked for about 1 min 30 s." in html, "the one that was chosen, in the summary"


def test_when_it_can_begin_is_said_in_words(shop: App, requester: User, found: Any) -> None:
    assert "It can begin at once, when it is approved." in looked(requester)
    assert "It begins at <time" in looked(requester, not_before="2999-01-01T02:00")
    region = on_paper.region("eu-west-1")
    region.window_day, region.window_opens, region.window_minutes = 6, "02:00", 60
    region.save()
    assert "Moves begin in eu-west-1 Sundays 02:00 UTC for 60 min only." in looked(requester)


def test_what_the_rules_forbid_is_said_without_looking(
    shop: App, requester: User, found: Any, waiting: AppMigration
) -> None:
    for html in (looked(requester), looked(requester, dest="")):
        assert "one move at a time" in html
        assert "plan-head" not in html
        assert re.search(r"<button[^>]*disabled aria-describedby", html)
    assert "one move at a time" in page(requester, "new_move", app="shop").content.decode()
    response = send(requester, "new_move", **WANTED)
    assert (response.status_code, AppMigration.objects.count()) == (409, 1)


def test_nothing_chosen_yet_is_no_error(shop: App, requester: User, found: Any) -> None:
    assert "Choose an app and a destination" in looked(requester, app="", dest="")
    assert "Choose a destination" in looked(requester, dest="")
    assert page(requester, "new_move_look").status_code == 200


def test_without_javascript_look_shows_it_in_the_page_and_keeps_what_was_typed(
    shop: App, requester: User, found: Any
) -> None:
    found.append(finding("warn", "It is old."))
    html = send(requester, "new_move", **WANTED, look="1").content.decode()
    assert "It is old." in html
    assert "plan-head" in html
    assert ">\ncloser</textarea>" in html
    assert 'hx-trigger="load' not in html
    assert "plan-head" not in page(requester, "new_move", **WANTED).content.decode()
    assert not AppMigration.objects.exists()


def test_both_buttons_send_the_token_and_the_fragments_do_not(shop: App, requester: User, found: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(requester)
    address = reverse("admin:new_move")
    html = client.get(address).content.decode().partition('id="new-move"')[2]
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', html)
    assert token is not None
    assert "csrfmiddlewaretoken" not in client.get(reverse("admin:new_move_look"), WANTED).content.decode()
    for pressed in ({"look": "1"}, {}):
        assert client.post(address, WANTED | pressed).status_code == 403
    assert client.post(address, WANTED | {"csrfmiddlewaretoken": token[1], "look": "1"}).status_code == 200
    assert client.post(address, WANTED | {"csrfmiddlewaretoken": token[1]}).status_code == 302


def test_a_long_reason_is_looked_at_as_well(shop: App, requester: User, found: Any) -> None:
    html = send(requester, "new_move", **WANTED | {"reason": "why " * 3000}, look="1").content.decode()
    assert "plan-head" in html
    assert "why " * 3000 in html
    params = re.search(r'hx-params="(app,dest,strategy[^"]*)"', html)
    assert params is not None
    assert "reason" not in params[1]


def test_enter_looks_and_asks_for_nothing(shop: App, requester: User) -> None:
    html = page(requester, "new_move", app="shop").content.decode().partition('id="new-move"')[2]
    first = re.search(r'<button type="submit"([^>]*)>', html)
    assert first is not None
    assert 'name="look"' in first[1]
    assert "formmethod" not in first[1], "what was typed does not get into the address"


def test_after_a_choice_the_browser_is_told_to_look_anew(shop: App, requester: User) -> None:
    assert "chosen" in page(requester, "new_move_where", app="shop")["HX-Trigger-After-Settle"]


# -- the zone that the label says --------------------------------------------------------------------------------------


def in_zone(user: User, zone: str) -> Client:
    """A browser that has told its zone."""
    client = Client()
    client.force_login(user)
    client.cookies["timezone"] = zone
    return client


def test_a_time_is_read_in_the_zone_that_the_label_said(shop: App, requester: User, found: Any) -> None:
    address, typed = reverse("admin:new_move"), {"not_before": "2999-01-01T02:00"}
    first = in_zone(requester, "").get(address).content.decode()
    shown = re.search(r'name="zone" value="([^"]+)"', first)
    assert shown is not None
    assert f"Not before, in {shown[1]}" in first
    sent = WANTED | typed | {"zone": shown[1]}
    berlin = in_zone(requester, "Europe/Berlin")
    looked = berlin.post(address, sent | {"look": "1"}).content.decode()
    for part in ("Not before, in UTC", 'name="zone" value="UTC"', "03:00:00 CET"):
        assert part in looked, "what was typed still means the same"
    berlin.post(address, sent)
    assert str(AppMigration.objects.get().not_before) == "2999-01-01 02:00:00+00:00"


def test_without_another_zone_it_is_that_of_the_browser(shop: App, requester: User, found: Any) -> None:
    berlin, address = in_zone(requester, "Europe/Berlin"), reverse("admin:new_move")
    html = berlin.get(address).content.decode()
    assert 'name="zone" value="Europe/Berlin"' in html
    assert "Not before, in Europe/Berlin" in html
    berlin.post(address, WANTED | {"not_before": "2999-01-01T02:00", "zone": "Europe/Berlin"})
    assert str(AppMigration.objects.get().not_before) == "2999-01-01 01:00:00+00:00"


@pytest.mark.parametrize("zone", ["Nowhere/Land", "../../etc/passwd", "<b>"])
def test_a_zone_that_nobody_knows_is_refused(shop: App, requester: User, found: Any, zone: str) -> None:
    response = send(requester, "new_move", **WANTED, not_before="2999-01-01T02:00", zone=zone)
    assert response.status_code == 400
    assert "The zone of this time is not known." in response.content.decode()
    assert 'name="zone" value="UTC"' in response.content.decode()
    assert not AppMigration.objects.exists()


# -- what cannot be meant ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "bad", "remedy"),
    [
        ("reason", "", "Say why"),
        ("reason", " ", "Say why"),
        ("app", "", "Name the app"),
        ("dest", "", "Choose where"),
        ("dest", "nowhere", "Regions: eu-west-1, us-east-1."),
        ("ticket_url", "OPS-7", "Give all of it: https://"),
        ("strategy", "reverse", "reverse"),
        ("not_before", "2001-01-01T00:00", "Give a time to come"),
        ("not_before", "tomorrow", "Give day and time"),
        ("block_budget_seconds", "0", "Give 1 to 86400 seconds"),
        ("block_budget_seconds", "long", "Give a whole number"),
    ],
)
def test_what_cannot_be_meant_is_said_at_its_field_and_nothing_is_lost(
    shop: App, requester: User, found: Any, field: str, bad: str, remedy: str
) -> None:
    given = WANTED | {"reason": "a long story", "ticket_url": "https://t.example/7"} | {field: bad}
    response = send(requester, "new_move", **given)
    html = response.content.decode()
    assert response.status_code == 400
    error = re.search(rf'<ul class="errorlist" id="id_{field}_error">(.*?)</ul>', html)
    assert error is not None
    assert remedy in error[1]
    assert f"id_{field}_error" in html.replace(error[0], ""), "the field, or its group, refers to it"
    for name in {"reason", "ticket_url", "app"} - {field}:
        assert given[name] in html
    assert not AppMigration.objects.exists()


def test_whatever_people_type_stays_text(shop: App, requester: User, found: Any) -> None:
    evil = '"><script>alert(1)</script>{{ 7 }}'
    found.append(finding("warn", evil, why=evil, remedy=evil))
    on_paper.region("eu-west-1").__class__.objects.filter(slug="eu-west-1").update(name=evil)
    fields = dict.fromkeys(("reason", "ticket_url", "not_before", "block_budget_seconds"), evil)
    shown = [
        send(requester, "new_move", **WANTED | fields, look="1"),
        send(requester, "new_move", app=evil, dest=evil, strategy=evil, zone=evil, look="1"),
        page(requester, "new_move_where", app="shop", dest=evil),
        page(requester, "new_move_look", **WANTED | fields),
        send(requester, "new_move", **dict.fromkeys(WANTED, evil)),
        send(requester, "new_move", **WANTED | fields),
    ]
    for response in shown:
        assert "<script>alert" not in response.content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 }}" in shown[0].content.decode()

"""The life of a move, walked by the people whose work it is."""

from __future__ import annotations

import re

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from migrations_app import actions
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import ReplicaState, Status
from tests.browser.browsing import Desk
from tests.browser.portal import Portal
from tests.browser.pressing import decide, give_a_reason, look_at, mean_it, press
from tests.conftest import Shop
from tests.waiting import wait_until

DEST = "eu-west-1"


def status_of(shop: Shop) -> str:
    return AppMigration.objects.filter(app=shop.app).latest("initiated_at").status


def ask_for_a_move(page: Page, shop: Shop) -> None:
    press(page, "Request a move")
    page.get_by_role("combobox", name="App").fill(shop.app.slug)
    page.keyboard.press("Tab")
    page.get_by_role("radio", name=DEST).check()
    page.get_by_role("radio", name=re.compile("^Snapshot")).check()
    give_a_reason(page, "closer to its users")
    expect(page.get_by_role("region", name="What it would do")).to_contain_text("restoring_data")
    decide(page, "Request")


def test_asked_for_approved_by_another_watched_reversed_and_torn_down(
    desk: Desk, portal: Portal, ours: Shop, rita: User, anna: User, olga: User
) -> None:
    portal.work("us-east-1")
    struck = portal.work_with_faults(DEST, "pause@do:restoring_data:act")
    asks = desk.sit_down(rita)
    ask_for_a_move(asks, ours)
    expect(asks.get_by_role("main")).to_contain_text("approve")
    move = AppMigration.objects.get(app=ours.app)
    assert move.status == Status.AWAITING_APPROVAL

    approves = desk.sit_down(anna)
    look_at(approves, move)
    press(approves, "Approve")
    decide(approves, "Approve")
    expect(approves.get_by_role("main")).to_contain_text(re.compile("running|restoring_data"))

    # The requester's page has not been loaded again since it was waiting.
    expect(asks.get_by_role("main")).to_contain_text(re.compile("running|restoring_data"))
    wait_until(lambda: (struck / "pause@do:restoring_data:act").exists(), 60)
    expect(asks).to_have_title(re.compile("^▶"))
    (struck / "go").touch()
    expect(asks).to_have_title(re.compile("^✓"), timeout=60_000)
    expect(asks.locator("#icon")).to_have_attribute("href", re.compile("good"))

    operates = desk.sit_down(olga)
    look_at(operates, move)
    press(operates, "Reverse")
    give_a_reason(operates)
    decide(operates, "Reverse")
    expect(operates).to_have_title(re.compile("^✓"), timeout=60_000)
    ours.app.refresh_from_db()
    assert ours.app.region.slug == "us-east-1"

    press(operates, "Tear down")
    give_a_reason(operates, "it stays")
    mean_it(operates, ours.app.slug)
    decide(operates, "Ask for the teardown")
    back = AppMigration.objects.filter(app=ours.app).latest("initiated_at")
    look_at(approves, back)
    press(approves, "Approve")
    mean_it(approves, ours.app.slug)
    decide(approves, "Approve")
    wait_until(lambda: SourceReplica.objects.filter(migration=back, state=ReplicaState.TORN_DOWN).exists(), 60)
    operates.reload()
    expect(operates.get_by_role("main")).to_contain_text(re.compile("torn down", re.IGNORECASE))


def test_a_move_is_aborted_while_it_runs(desk: Desk, portal: Portal, ours: Shop, olga: User) -> None:
    struck = portal.work_with_faults(DEST, "pause@do:restoring_data:act")
    move = actions.request_move(app_slug=ours.app.slug, dest_slug=DEST, acting_user=olga, reason="a test")
    page = desk.sit_down(olga)
    look_at(page, move)
    wait_until(lambda: (struck / "pause@do:restoring_data:act").exists(), 60)
    press(page, "Abort")
    expect(page.get_by_role("main")).to_contain_text(re.compile("what will happen", re.IGNORECASE))
    give_a_reason(page)
    decide(page, "Abort")
    (struck / "go").touch()
    expect(page).to_have_title(re.compile("^×"), timeout=60_000)
    assert status_of(ours) == Status.ABORTED


def test_a_held_move_says_why_and_goes_on_when_it_is_tried_again(
    desk: Desk, portal: Portal, ours: Shop, olga: User
) -> None:
    portal.work_with_faults(DEST, "fail@do:setting_up_reverse_replication:act")
    move = actions.request_move(app_slug=ours.app.slug, dest_slug=DEST, acting_user=olga, reason="a test")
    page = desk.sit_down(olga)
    look_at(page, move)
    expect(page).to_have_title(re.compile("^!"), timeout=60_000)
    expect(page.locator("#icon")).to_have_attribute("href", re.compile("bad"))
    expect(page.get_by_role("main")).to_contain_text("A fault was forced.")
    page.goto("/admin/")
    expect(page.get_by_role("main")).to_contain_text(ours.app.slug)
    look_at(page, move)
    press(page, "Retry")
    give_a_reason(page, "it was repaired")
    decide(page, "Retry")
    expect(page).to_have_title(re.compile("^✓"), timeout=60_000)

"""The whole life of a move by plain forms and reloads."""

from __future__ import annotations

import re
from typing import Any

from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from migrations_app.dashboard.display import page_of
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import ReplicaState, Status, Step
from tests import on_paper
from tests.browser.browsing import Desk
from tests.browser.colleagues import TEAM
from tests.browser.portal import Portal
from tests.browser.pressing import decide, give_a_reason, look_at, mean_it, press
from tests.conftest import Shop
from tests.waiting import wait_until

DEST = "eu-west-1"
A_MOVE_SECONDS = 60
PLAIN: dict[str, Any] = {"java_script_enabled": False}


def test_asked_for_approved_followed_reversed_and_torn_down(
    desk: Desk, portal: Portal, ours: Shop, rita: User, anna: User, olga: User
) -> None:
    for region in ("us-east-1", DEST):
        portal.work(region)
    asks = desk.sit_down(rita, **PLAIN)
    ask_for_a_move(asks, ours)
    move = AppMigration.objects.get(app=ours.app)

    approves = desk.sit_down(anna, **PLAIN)
    look_at(approves, move)
    press(approves, "Approve")
    decide(approves, "Approve")
    wait_until(lambda: is_completed(move), A_MOVE_SECONDS)
    asks.reload()
    expect(asks).to_have_title(re.compile("^✓"))

    operates = desk.sit_down(olga, **PLAIN)
    look_at(operates, move)
    press(operates, "Reverse")
    give_a_reason(operates)
    decide(operates, "Reverse")
    back = AppMigration.objects.get(reverses=move)
    wait_until(lambda: is_completed(back), A_MOVE_SECONDS)

    look_at(operates, back)
    press(operates, "Tear down")
    give_a_reason(operates, "it stays")
    mean_it(operates, ours.app.slug)
    decide(operates, "Ask for the teardown")
    look_at(approves, back)
    press(approves, "Approve")
    mean_it(approves, ours.app.slug)
    decide(approves, "Approve")
    wait_until(lambda: SourceReplica.objects.filter(migration=back, state=ReplicaState.TORN_DOWN).exists(), 60)


def ask_for_a_move(page: Page, shop: Shop) -> None:
    press(page, "Request a move")
    page.get_by_role("combobox", name="App").fill(shop.app.slug)
    page.get_by_role("button", name="Look").click()
    page.get_by_role("radio", name=DEST).check()
    page.get_by_role("radio", name=re.compile("^Snapshot")).check()
    give_a_reason(page, "closer to its users")
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("region", name="What it would do")).to_contain_text("restoring_data")
    expect(page.get_by_label("Reason")).to_have_value("closer to its users")
    decide(page, "Request")


def is_completed(move: AppMigration) -> bool:
    return AppMigration.objects.filter(pk=move.pk, status=Status.COMPLETED).exists()


def test_a_comment_is_written_on_a_page_that_does_not_reload(desk: Desk, olga: User) -> None:
    move = on_paper.move(on_paper.app("paper", TEAM), status=Status.RUNNING, current_step=Step.REQUESTED)
    page = desk.sit_down(olga, page_of(move), **PLAIN)
    assert reloads(page)
    page.get_by_role("link", name="Stop reloading to comment").click()
    page.get_by_label("Comment").fill("I look at it.")
    press(page, "Comment")
    expect(page.get_by_role("region", name="What was done and said")).to_contain_text("I look at it.")
    assert not reloads(page)
    page.get_by_role("link", name="Reload it every 10 seconds").click()
    assert reloads(page)


def reloads(page: Page) -> bool:
    return page.locator("meta[http-equiv=refresh]").count() == 1

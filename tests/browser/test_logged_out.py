"""Who is logged out meanwhile, or logs in anew in another tab, loses nothing that was typed, and the page goes on."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from migrations_app import queries
from migrations_app.models import AppMigration
from migrations_app.states import Status, Step
from tests import on_paper
from tests.browser.browsing import Desk
from tests.browser.colleagues import PASSWORD, TEAM, colleague
from tests.browser.pressing import button, look_at, press
from tests.waiting import wait_until

REFUSED = ("status of 40[13]", "Status Error Code 401", "htmx:timeout")
ASKED_AGAIN_SECONDS = 30
"""A page that was refused asks again every ten."""


@pytest.fixture
def running() -> AppMigration:
    return on_paper.move(on_paper.app("paper", TEAM), status=Status.RUNNING, current_step=Step.REQUESTED)


@pytest.fixture
def held() -> AppMigration:
    return on_paper.move(
        on_paper.app("paper", TEAM), status=Status.HELD, current_step=Step.REQUESTED, last_error="It stopped."
    )


def log_out(page: Page) -> None:
    page.context.clear_cookies(name="sessionid")


def log_in(page: Page, name: str = "olga") -> None:
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def retry_when_logged_out(page: Page, move: AppMigration) -> None:
    """Ends on the login."""
    page.goto(reverse("admin:migrations_app_appmigration_retry", args=[move.pk]))
    page.get_by_label("Reason").fill("The disk is free again.")
    log_out(page)
    press(page, "Retry")
    expect(page.get_by_role("main")).to_contain_text("The disk is free again.")
    page.get_by_role("link", name="Log in").click()


def test_a_page_goes_on_after_a_login_in_another_tab_with_what_was_typed(
    desk: Desk, page: Page, running: AppMigration, olga: User
) -> None:
    desk.expect(*REFUSED)
    look_at(page, running)
    page.get_by_label("Comment").fill("I look at it.")
    log_out(page)
    expect(page.locator("#freshness")).to_contain_text("You are logged out.")
    expect(button(page, "Abort")).to_be_disabled()
    expect(button(page, "Comment")).to_be_disabled()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Log in, in another tab").click()
    log_in(opened.value)
    expect(page.locator("#freshness")).to_contain_text(
        re.compile(r"^Updated \d+ s ago"), timeout=ASKED_AGAIN_SECONDS * 1000
    )
    expect(page.get_by_label("Comment")).to_have_value("I look at it.")
    expect(button(page, "Abort")).to_be_enabled()
    press(page, "Comment")
    expect(page.get_by_label("Comment")).to_have_value("")
    expect(page.get_by_role("region", name="What was done and said")).to_contain_text("I look at it.")
    assert [said.text for said in queries.comments(running)] == ["I look at it."]


def test_what_was_typed_comes_back_once_after_the_login(desk: Desk, page: Page, held: AppMigration) -> None:
    desk.expect(*REFUSED)
    retry_when_logged_out(page, held)
    log_in(page)
    expect(page.get_by_label("Reason")).to_have_value("The disk is free again.")
    expect(page.get_by_role("main")).to_contain_text("Nothing was done with it.")
    page.reload()
    expect(page.get_by_label("Reason")).to_have_value("")


def test_what_was_typed_is_for_nobody_else(desk: Desk, page: Page, held: AppMigration) -> None:
    desk.expect(*REFUSED)
    retry_when_logged_out(page, held)
    log_in(page, str(colleague("oscar", "Operator")))
    expect(page.get_by_role("banner")).to_contain_text("oscar")
    wait_until(lambda: page.evaluate("sessionStorage.getItem('typed')") is None)
    expect(page.get_by_role("main")).not_to_contain_text("The disk is free again.")


def test_a_form_of_another_login_leads_back_to_what_was_typed(
    desk: Desk, page: Page, held: AppMigration, olga: User
) -> None:
    desk.expect(*REFUSED)
    page.goto(reverse("admin:migrations_app_appmigration_retry", args=[held.pk]))
    page.get_by_label("Reason").fill("The disk is free again.")
    log_out(page)
    other = page.context.new_page()
    other.goto("/admin/")
    log_in(other)
    expect(other).to_have_url(re.compile("/admin/$"))
    press(page, "Retry")
    page.get_by_role("link", name="Back to the form").click()
    expect(page.get_by_label("Reason")).to_have_value("The disk is free again.")
    press(page, "Retry")
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("^paper"))
    held.refresh_from_db()
    assert held.status != Status.HELD


def test_a_new_move_comes_back_with_its_destination(desk: Desk, page: Page) -> None:
    desk.expect(*REFUSED)
    on_paper.app("paper", TEAM)
    page.goto("/admin/new-move/?app=paper&dest=eu-west-1")
    page.get_by_label("Reason").fill("closer")
    page.get_by_role("radio", name=re.compile("^Rehearse")).check()
    log_out(page)
    page.locator("#new-move").evaluate("form => form.requestSubmit()")
    page.get_by_role("link", name="Log in").click()
    log_in(page)
    expect(page.get_by_label("Reason")).to_have_value("closer")
    expect(page.get_by_role("combobox", name="App")).to_have_value("paper")
    expect(page.get_by_role("radio", name="eu-west-1")).to_be_checked()
    expect(page.get_by_role("radio", name=re.compile("^Rehearse"))).to_be_checked()

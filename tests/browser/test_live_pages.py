"""Pages that keep themselves current: what they do when they cannot, where links lead, and what keys do."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, Route, expect

from migrations_app.dashboard.display import page_of
from migrations_app.models import AppMigration
from migrations_app.states import Status, Step
from tests import on_paper
from tests.browser.browsing import Desk
from tests.browser.colleagues import TEAM
from tests.browser.portal import Portal
from tests.browser.pressing import button, look_at, press
from tests.conftest import Shop, moved

STALE_SECONDS = 20
LOGGED_OUT = ("status of 401", "Status Error Code 401")


@pytest.fixture
def running() -> AppMigration:
    return on_paper.move(on_paper.app("paper", TEAM), status=Status.RUNNING, current_step=Step.REQUESTED)


def test_what_changes_is_shown_without_a_reload(page: Page, running: AppMigration) -> None:
    look_at(page, running)
    page.evaluate("window.isTheSame = true")
    expect(page).to_have_title(re.compile("^▶"))
    AppMigration.objects.update(status=Status.HELD, last_error="The edge does not answer.")
    expect(page.get_by_role("main")).to_contain_text("The edge does not answer.")
    expect(page).to_have_title(re.compile("^!"))
    expect(page.locator("#icon")).to_have_attribute("href", re.compile("/bad"))
    assert page.evaluate("window.isTheSame")


def test_a_page_that_changes_at_every_poll_is_fresh(page: Page, running: AppMigration) -> None:
    """For longer than the three polls after which a page without answers is stale."""
    look_at(page, running)
    page.evaluate(
        """() => {
            window.states = [];
            new MutationObserver(() => states.push(document.getElementById("freshness").dataset.state))
                .observe(document.getElementById("freshness"), {attributes: true});
        }"""
    )
    for change in range(5):
        AppMigration.objects.update(last_error=f"Try {change}.")
        expect(page.get_by_role("main")).to_contain_text(f"Try {change}.")
    expect(page.locator("#freshness")).to_contain_text(re.compile(r"^Updated [0-2] s ago"))
    assert "stale" not in page.evaluate("states")
    expect(button(page, "Abort")).to_be_enabled()


def test_what_was_opened_stays_open_when_the_page_changes(page: Page, ours: Shop) -> None:
    move = moved(ours.app, "eu-west-1")
    AppMigration.objects.update(status=Status.RUNNING)
    look_at(page, move)
    log = page.get_by_role("region", name="Log of reserving_dest")
    page.locator("summary").filter(has_text="reserving_dest").click()
    expect(log).to_be_visible()
    AppMigration.objects.update(status=Status.HELD, last_error="The edge does not answer.")
    expect(page.get_by_role("main")).to_contain_text("The edge does not answer.")
    expect(log).to_be_visible()


def test_with_the_connection_lost_nothing_can_be_pressed_until_the_page_is_fresh(
    desk: Desk, portal: Portal, page: Page, running: AppMigration
) -> None:
    look_at(page, running)
    freshness = page.locator("#freshness")
    expect(freshness).to_contain_text(re.compile(r"^Updated \d+ s ago"))
    desk.expect("net::ERR_", "htmx:sendError", "htmx:afterRequest", "htmx:timeout", "status of 50")
    portal.stop_serving()
    expect(freshness).to_contain_text("does not answer", timeout=STALE_SECONDS * 1000)
    expect(button(page, "Abort")).to_be_disabled()
    expect(page).to_have_title(re.compile("^⚠ stale"))
    button(page, "Abort").click(force=True)
    expect(page).to_have_url(re.compile("/change/$"))
    portal.serve()
    expect(freshness).to_contain_text(re.compile(r"^Updated \d+ s ago"), timeout=STALE_SECONDS * 1000)
    expect(button(page, "Abort")).to_be_enabled()
    expect(page).to_have_title(re.compile("^▶"))


def test_a_poll_that_is_never_answered_is_not_the_last(desk: Desk, page: Page, running: AppMigration) -> None:
    desk.expect("htmx:timeout", "htmx:afterRequest")
    hung: list[Route] = []
    page.route("**/live/**", lambda route: route.continue_() if hung else hung.append(route))
    look_at(page, running)
    expect(page.locator("#freshness")).to_contain_text(re.compile(r"^Updated [345] s ago"))
    AppMigration.objects.update(status=Status.HELD, last_error="The edge does not answer.")
    expect(page.get_by_role("main")).to_contain_text("The edge does not answer.")
    assert len(hung) == 1


def test_who_stands_on_a_button_stands_on_the_same_after_a_change(
    page: Page, running: AppMigration, olga: User
) -> None:
    AppMigration.objects.update(status=Status.HELD)
    look_at(page, running)
    button(page, "Abort").focus()
    AppMigration.objects.update(last_error="The edge does not answer.")
    expect(page.get_by_role("main")).to_contain_text("The edge does not answer.")
    expect(button(page, "Abort")).to_be_focused()


def test_a_link_to_nothing_breaks_nothing(page: Page, running: AppMigration) -> None:
    page.goto(f"{page_of(running)}#%")
    expect(page.locator("#freshness")).to_contain_text(re.compile(r"^Updated \d+ s ago"))


def test_who_is_logged_out_meanwhile_is_told(desk: Desk, page: Page, running: AppMigration) -> None:
    look_at(page, running)
    desk.expect(*LOGGED_OUT)
    page.context.clear_cookies(name="sessionid")
    expect(page.locator("#freshness")).to_contain_text("logged out", timeout=STALE_SECONDS * 1000)


def test_a_message_is_dated_once_the_page_goes_on(page: Page, running: AppMigration) -> None:
    AppMigration.objects.update(status=Status.HELD, last_error="It stopped.")
    page.goto(reverse("admin:migrations_app_appmigration_retry", args=[running.pk]))
    page.get_by_label("Reason").fill("again")
    press(page, "Retry")
    message = page.locator(".messagelist li")
    expect(message).to_have_text("The move goes on.")
    AppMigration.objects.update(last_error="It stopped again.")
    expect(message).to_contain_text(re.compile(r"said \d+ s ago; what stands below has changed since"))


def test_that_a_page_is_stale_is_seen_wherever_it_is_scrolled_to(desk: Desk, page: Page, ours: Shop) -> None:
    desk.expect(*LOGGED_OUT)
    move = moved(ours.app, "eu-west-1")
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 500})
        look_at(page, move)
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        expect(page.locator("#freshness")).not_to_be_in_viewport()
        cookies = page.context.cookies()
        page.context.clear_cookies(name="sessionid")
        expect(page.locator("#freshness")).to_contain_text("logged out")
        expect(page.locator("#freshness")).to_be_in_viewport()
        expect(page.get_by_role("status").filter(has_text="Buttons are off")).to_have_count(1)
        page.context.add_cookies(cookies)  # type: ignore[arg-type]


def test_a_link_to_a_step_and_to_a_line_of_its_log_opens_it(desk: Desk, page: Page, ours: Shop, olga: User) -> None:
    move = moved(ours.app, "eu-west-1")
    page.goto(f"{page_of(move)}#step-reserving_dest")
    log = page.get_by_role("region", name="Log of reserving_dest")
    expect(log).to_be_visible()
    line = log.get_by_role("listitem").nth(1)
    line.get_by_role("link").click()
    other = desk.sit_down(olga, page.url)
    expect(other.locator(":target")).to_be_in_viewport()
    expect(other.locator(":target")).to_have_text(line.inner_text(), use_inner_text=True)


def test_j_and_k_walk_the_steps_and_enter_opens_one(page: Page, ours: Shop) -> None:
    look_at(page, moved(ours.app, "eu-west-1"))

    def chosen() -> str:
        return str(page.evaluate("document.activeElement.closest('[data-row]').id"))

    page.keyboard.press("j")
    assert chosen() == "step-requested"
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    assert chosen() == "step-reserving_dest"
    page.keyboard.press("Enter")
    log = page.get_by_role("region", name="Log of reserving_dest")
    expect(log).to_be_visible()
    page.keyboard.press("Enter")
    expect(log).to_be_hidden()
    expect(page).to_have_url(re.compile("/change/$"))
    page.keyboard.press("?")
    page.keyboard.press("j")
    page.keyboard.press("Escape")
    assert chosen() == "step-reserving_dest", "keys are for what is on top"


def test_j_and_k_walk_a_list_and_enter_follows_it(page: Page, running: AppMigration) -> None:
    page.goto("/admin/migrations_app/appmigration/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(str(running.pk)))

"""What holds on every page: it logs in, tells the time where one is, fits a narrow screen, and is walked by keys."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from migrations_app.models import AppMigration
from migrations_app.states import Status, Step
from tests import on_paper
from tests.browser.browsing import Desk
from tests.browser.colleagues import PASSWORD, TEAM
from tests.browser.pressing import press
from tests.conftest import Shop


@pytest.fixture
def done() -> AppMigration:
    return on_paper.completed(on_paper.app("paper", TEAM))


def test_a_person_logs_in_and_is_on_the_overview(desk: Desk, olga: User) -> None:
    page = desk.sit_down(None)
    page.get_by_label("Username").fill("olga")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{desk.url}/admin/")
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()


def test_the_places_lead_to_every_list(page: Page, done: AppMigration) -> None:
    nav = page.get_by_role("navigation", name="Places")
    shown = nav.get_by_role("link").all_inner_texts()
    nav.get_by_text("More", exact=True).click()
    in_menu = set(nav.get_by_role("link").all_inner_texts()) - set(shown)
    assert {"Overview", "Moves", "Replicas", "Apps", "Regions", "Audit"} <= set(shown)
    assert "Tokens" in in_menu
    for name in [*shown, *sorted(in_menu)]:
        if name in in_menu:
            page.goto("/admin/")
            nav.get_by_text("More", exact=True).click()
        nav.get_by_role("link", name=name, exact=True).click()
        expect(nav.get_by_role("link", name=name, exact=True)).to_have_attribute("aria-current", "page")


def test_times_are_those_of_the_users_zone_with_utc_on_hover(desk: Desk, olga: User, done: AppMigration) -> None:
    page = desk.sit_down(olga, timezone_id="Europe/Berlin")
    page.goto(f"/admin/migrations_app/appmigration/{done.pk}/change/")
    here = page.locator("time").filter(has_text=re.compile("CES?T$")).first
    expect(here).to_be_visible()
    expect(here).to_have_attribute("title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$"))


def test_slash_goes_to_the_search_which_finds_an_app(page: Page, done: AppMigration) -> None:
    page.keyboard.press("/")
    page.keyboard.type("paper")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/admin/migrations_app/"))
    expect(page.get_by_role("main")).to_contain_text("paper")


def test_a_question_mark_shows_the_keys_and_escape_closes_them(page: Page) -> None:
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()


def test_the_first_click_on_a_destination_counts(page: Page, ours: Shop) -> None:
    page.goto("/admin/new-move/")
    page.get_by_role("combobox", name="App").press_sequentially(ours.app.slug)
    dest = page.get_by_role("radio", name="eu-west-1")
    expect(dest).to_be_visible()
    expect(page.locator(".htmx-request")).to_have_count(0)
    dest.click()  # which takes the focus from the app
    expect(page.locator(".htmx-request")).to_have_count(0)
    expect(page.get_by_role("region", name="What it would do")).to_contain_text("restoring_data")
    expect(dest).to_be_checked()


def test_an_error_stands_at_its_field_and_says_what_is_wanted(desk: Desk, page: Page) -> None:
    desk.expect("status of 400")
    move = on_paper.move(on_paper.app("held", TEAM), status=Status.HELD, current_step=Step.REQUESTED)
    page.goto(reverse("admin:migrations_app_appmigration_retry", args=[move.pk]))
    press(page, "Retry")
    error = page.get_by_text("Say why, for those who look at this later.")
    said, field = error.bounding_box(), page.get_by_label("Reason").bounding_box()
    assert said
    assert field
    assert abs(said["x"] - field["x"]) < 2

"""What people do on the console's pages, found by role and name as they find it."""

from __future__ import annotations

import re
from collections.abc import Collection

from playwright.sync_api import Locator, Page

from migrations_app.dashboard.display import page_of
from migrations_app.models import AppMigration
from tests.browser.colleagues import PASSWORD

ACTS = ("Approve", "Reject", "Withdraw", "Abort", "Retry", "Reverse", "Tear down", "Keep until…")


def look_at(page: Page, move: AppMigration) -> None:
    page.goto(page_of(move))


def button(page: Page, name: str) -> Locator:
    """Whether it is a link or a button, it can be pressed."""
    wanted = re.compile(f"^{re.escape(name)}")
    main = page.get_by_role("main")
    return main.get_by_role("link", name=wanted).or_(main.get_by_role("button", name=wanted)).first


def press(page: Page, name: str) -> None:
    button(page, name).click()


def offered(page: Page, *, among: Collection[str] = ACTS) -> set[str]:
    """The acts that the page lets one press now."""
    found = set()
    main = page.get_by_role("main")
    for role in ("link", "button"):
        for at in main.get_by_role(role, disabled=False).all():
            said = at.inner_text().strip() or at.get_attribute("value") or ""
            found |= {act for act in among if said.startswith(act)}
    return found


def give_a_reason(page: Page, reason: str = "a test") -> None:
    page.get_by_label(re.compile("^(Reason|Why)", re.IGNORECASE)).first.fill(reason)


def decide(page: Page, name: str) -> None:
    """Press the button that sends the form of the page before a deed."""
    page.get_by_role("main").get_by_role("button", name=re.compile(f"^{re.escape(name)}")).first.click()


def mean_it(page: Page, app: str) -> None:
    """Type the app's name, and log in again."""
    page.get_by_label("Name of the app").fill(app)
    page.get_by_label("Your password").fill(PASSWORD)

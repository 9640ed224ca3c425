"""Every page: what axe finds, in light and dark, and whether it fits a telephone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import User
from django.urls import reverse
from playwright.sync_api import Page, expect

from migrations_app.dashboard.display import list_of, page_of
from migrations_app.models import AppMigration
from tests.browser.browsing import Desk
from tests.browser.colleagues import colleague
from tests.browser.scene import LISTS, Scene

_WIDEST = """() => [...document.querySelectorAll("body *")]
    .filter(one => one.getBoundingClientRect().right > innerWidth + 1 && !one.closest(".wide, .results, nav"))
    .slice(0, 3).map(one => one.outerHTML.slice(0, 120))"""
"""What stands out to the right."""

GRAVE = ("serious", "critical")
NARROW = 400


@pytest.fixture
def ada(scene: Scene) -> User:
    return colleague("ada", "Admin")


def everything_open(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


AXE = {"resultTypes": ["violations"], "preload": False}  # it would fetch style sheets anew, from wrong addresses
SCHEMES = {"light": AXE, "dark": {**AXE, "runOnly": ["color-contrast", "link-in-text-block"]}}
"""In the dark only colours are others."""


class Findings:
    """What axe finds, once each, with the first page where it is so."""

    def __init__(self) -> None:
        self.first: dict[tuple[str, str, str], str] = {}

    def look_at(self, page: Page) -> None:
        page.add_style_tag(content="* { transition: none !important }")  # else colours are seen half-way
        page.evaluate(AXE_SCRIPT)
        for scheme, options in SCHEMES.items():
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            for violation in page.evaluate(f"axe.run({json.dumps(options)})")["violations"]:
                if violation["impact"] in GRAVE:
                    for node in violation["nodes"]:
                        self._add(page, scheme, violation["id"], node)

    def _add(self, page: Page, scheme: str, rule: str, node: dict[str, Any]) -> None:
        said = node["failureSummary"].partition("\n")[2].strip().partition("\n")[0]
        self.first.setdefault((rule, scheme, node["html"][:140]), f"{page.url.partition('/admin')[2]}: {said}")

    def __str__(self) -> str:
        return "\n".join(f"{rule}, {scheme}: {html}\n    {at}" for (rule, scheme, html), at in self.first.items())


def test_axe_finds_nothing_serious_on_any_page_in_light_or_dark(desk: Desk, scene: Scene, ada: User) -> None:
    page = desk.sit_down(ada, bypass_csp=True)  # in this browser only: axe is a script of its own
    findings = Findings()
    for path in scene.paths():
        page.goto(path)
        page.wait_for_function("!document.querySelector('.htmx-request')")
        everything_open(page)
        findings.look_at(page)
    page.goto("/admin/")
    page.keyboard.press("?")
    findings.look_at(page)
    assert not findings.first, str(findings)


def test_no_page_scrolls_sideways_on_a_telephone(desk: Desk, scene: Scene, ada: User) -> None:
    page = desk.sit_down(ada, viewport={"width": NARROW, "height": 800})
    wider = {}
    for path in scene.paths():
        page.goto(path)
        everything_open(page)
        if page.evaluate("document.documentElement.scrollWidth") > NARROW:
            wider[path] = page.evaluate(_WIDEST)
    assert not wider


_CUT = """() => [...document.querySelectorAll("#result_list td, table.rows td, table.regions td")]
    .filter(one => one.getBoundingClientRect().right > innerWidth)
    .slice(0, 3).map(one => one.outerHTML.slice(0, 120))"""
"""Cells of which something is off the screen."""


def test_no_cell_of_a_list_is_off_a_telephones_screen(desk: Desk, scene: Scene, ada: User) -> None:
    page = desk.sit_down(ada, viewport={"width": NARROW, "height": 800})
    cut = {}
    for path in [reverse("admin:index"), *map(list_of, LISTS), *map(page_of, (scene.done.app, scene.done.dest_region))]:
        page.goto(path)
        if found := page.evaluate(_CUT):
            cut[path] = found
    assert not cut
    page.goto(list_of(AppMigration))
    said = page.evaluate("() => getComputedStyle(document.querySelector('.field-state'), '::before').content")
    assert said == '"Status"', "each says what it is"


def test_on_a_telephone_it_is_asked_for_after_what_it_would_do(desk: Desk, scene: Scene, ada: User) -> None:
    page = desk.sit_down(ada, viewport={"width": NARROW, "height": 800}, has_touch=True, is_mobile=True)
    page.goto("/admin/new-move/?app=idle&dest=eu-west-1")
    expect(page.get_by_role("region", name="What it would do")).to_contain_text("The plan as it will run")
    asks, looks = (page.locator(name).bounding_box() for name in ("#asking", "#look"))
    assert asks
    assert looks
    assert asks["y"] >= looks["y"] + looks["height"]
    page.goto(page_of(scene.done))
    assert page.locator(".permalink").first.evaluate("one => getComputedStyle(one).opacity") == "1", "there is no hover"


def test_the_places_begin_where_everything_begins(desk: Desk, scene: Scene, ada: User) -> None:
    """Every row of them, and those in More."""
    page = desk.sit_down(ada, viewport={"width": NARROW, "height": 800})
    page.get_by_text("More", exact=True).click()
    for list_ in ("#places > ul", "#more-places ul"):
        rows = page.eval_on_selector_all(
            f"{list_} > li",
            """all => all.map(one => one.querySelector("a, summary").getBoundingClientRect())
                .map(box => [Math.round(box.y), Math.round(box.x)])""",
        )
        firsts = {min(x for y, x in rows if y == row) for row, _ in rows}
        assert len(firsts) == 1, (list_, rows)
        assert min(firsts) >= 0

"""Every page: what axe finds, in light and dark, and whether it fits a telephone."""

from __future__ import annotations

import json
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.contrib.auth.models import User
from playwright.sync_api import Page

from tests.browser.browsing import Desk
from tests.browser.colleagues import colleague
from tests.browser.scene import Scene

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

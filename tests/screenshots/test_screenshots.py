"""`make screenshots`: the console's pages at work, light, dark and narrow, into docs/screenshots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.urls import reverse
from playwright.sync_api import Page

from migrations_app.dashboard.display import list_of, page_of
from migrations_app.models import AuditEvent, Region, SourceReplica
from tests.browser import browsing
from tests.browser.browsing import Desk
from tests.browser.portal import Portal
from tests.screenshots.night import AP, EU, Night
from tests.screenshots.slim import slim

FOLDER = Path(__file__).resolve().parents[2] / "docs/screenshots"
WIDE, NARROW, HIGHEST = 1280, 400, 1800


@pytest.fixture
def night(regions: dict[str, Region], settings: LazySettings, tmp_path: Path) -> Iterator[Night]:
    night = Night(Portal(tmp_path / "faults"), regions, tmp_path / "secrets")
    settings.REDIS_URL, settings.MOVES_FOUR_EYES = night.portal.redis_url, frozenset({"move", "teardown"})
    try:
        yield night
    finally:
        night.end()


@dataclass
class Camera:
    night: Night
    desk: Desk
    blank: Page
    """Where pictures are made small."""

    def take(self, name: str, path: str, who: str = "olga", *, dark: bool = False, narrow: bool = False) -> None:
        """The page in light, and if so wanted in dark and on a telephone."""
        self._shoot(name, path, who)
        if dark:
            self._shoot(f"{name}-dark", path, who, color_scheme="dark")
        if narrow:
            self._shoot(f"{name}-narrow", path, who, viewport={"width": NARROW, "height": 800})

    def _shoot(self, name: str, path: str, who: str, **options: object) -> None:
        page = self.desk.sit_down(
            self.night.people[who], path, **{"viewport": {"width": WIDE, "height": 800}, **options}
        )
        page.wait_for_load_state("networkidle")
        at = FOLDER / f"{name}.png"
        at.write_bytes(slim(_picture(page), self.blank))
        print(f"{at.name}: {at.stat().st_size // 1000} kB")
        self.desk.leave()


def _picture(page: Page) -> bytes:
    """From its head to its foot, or as much as somebody would scroll."""
    wide, high = page.evaluate("[innerWidth, document.documentElement.scrollHeight]")
    page.set_viewport_size({"width": wide, "height": min(high, HIGHEST)})
    return page.screenshot(animations="disabled")


def test_take_pictures(night: Night) -> None:
    FOLDER.mkdir(exist_ok=True)
    (night.secrets).mkdir()
    with browsing.chromium() as browser:
        night.begin()
        desk = Desk(browser, night.portal.url)
        camera = Camera(night, desk, browser.new_page())
        camera.take("overview-empty", "/admin/")
        night.get_busy()
        moves = night.moves
        camera.take("overview", "/admin/", dark=True, narrow=True)
        camera.take("move-running", page_of(moves["atlas"]), dark=True, narrow=True)
        camera.take("move-held", page_of(moves["billing"]), dark=True)
        camera.take("move-waiting", page_of(moves["catalog"]), "anna")
        camera.take("move-completed", page_of(moves["orders"]))
        camera.take("approve", _verb("approve", "catalog", night), "anna", dark=True, narrow=True)
        camera.take("abort", _verb("abort", "atlas", night))
        camera.take("reverse", _verb("reverse", "orders", night))
        camera.take("teardown", _verb("teardown", "orders", night))
        camera.take("replicas", list_of(SourceReplica))
        camera.take("replica", page_of(SourceReplica.objects.get(migration=moves["orders"])))
        camera.take("app", page_of(night.apps["press"]))
        camera.take("region", page_of(night.regions[EU]))
        camera.take("audit", list_of(AuditEvent), "ada")
        camera.take("new-move", _new_move(night), "rita", dark=True, narrow=True)
        desk.leave()
        assert not desk.complaints, "\n".join(desk.complaints)


def _verb(verb: str, app: str, night: Night) -> str:
    return reverse(f"admin:migrations_app_appmigration_{verb}", args=[night.moves[app].pk])


def _new_move(night: Night) -> str:
    return f"{reverse('admin:new_move')}?app=almanac&dest={AP}&strategy=auto"

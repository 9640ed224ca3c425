"""A portal that serves, a browser, and the people who sit before it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Any, cast

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db.models.functions import Now
from playwright.sync_api import Browser, Page

from migrations_app.engine.reconciler import HEARTBEAT
from migrations_app.models import Heartbeat, Region
from tests.browser import browsing
from tests.browser.browsing import Desk
from tests.browser.colleagues import TEAM, colleague
from tests.browser.portal import Portal
from tests.browser.scene import Scene
from tests.conftest import Shop
from tests.people import team


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A test that fails says what was on the screens."""
    report = yield
    if report.when == "call" and report.failed and "desk" in item.funcargs:
        report.sections.append(("on the screens", cast(Desk, item.funcargs["desk"]).seen()))
    return report


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if not browsing.executable():
        pytest.skip(f"no Chromium on PATH ({', '.join(browsing.NAMES)}): on Debian, apt-get install chromium")
    with browsing.chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def processes(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    processes = Portal(tmp_path_factory.mktemp("faults"))
    yield processes
    processes.end()


@pytest.fixture
def portal(
    chromium: Browser, regions: dict[str, Region], processes: Portal, settings: LazySettings
) -> Iterator[Portal]:
    settings.REDIS_URL = processes.redis_url
    Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": Now()})
    yield processes
    processes.come_to_rest()


@pytest.fixture
def desk(chromium: Browser, portal: Portal) -> Iterator[Desk]:
    """Fails the test if a page did what a page must not do."""
    desk = Desk(chromium, portal.url)
    yield desk
    desk.leave()
    assert not desk.complaints, "\n".join(desk.complaints)


@pytest.fixture
def rita(portal: Portal) -> User:
    return colleague("rita", "Requester")


@pytest.fixture
def anna(portal: Portal) -> User:
    return colleague("anna", "Approver")


@pytest.fixture
def olga(portal: Portal) -> User:
    return colleague("olga", "Operator")


@pytest.fixture
def ours(shop: Shop) -> Shop:
    """The shop, owned by the team."""
    shop.app.owner = team(TEAM)
    shop.app.save(update_fields=["owner"])
    return shop


@pytest.fixture
def page(desk: Desk, olga: User) -> Page:
    """The operator's."""
    return desk.sit_down(olga)


@pytest.fixture
def scene(ours: Shop, make_shop: Callable[..., Shop], rita: User, settings: LazySettings) -> Scene:
    other = make_shop()
    other.app.owner = team(TEAM)
    other.app.save(update_fields=["owner"])
    return Scene.lay(ours, other, rita, settings)

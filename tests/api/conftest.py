from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from django.conf import LazySettings

from migrations_app.actions import deciding, requesting
from migrations_app.models import Region
from tests.api.caller import Caller
from tests.browser.portal import Portal
from tests.test_permissions import World, world


@pytest.fixture
def here(db: None, monkeypatch: pytest.MonkeyPatch, settings: LazySettings, caplog: pytest.LogCaptureFixture) -> World:
    """Two teams with an app each, on paper: preflight finds nothing. Django does not log what is refused."""
    caplog.set_level(logging.CRITICAL, logger="django.request")
    for module in (requesting, deciding):
        monkeypatch.setattr(module, "look", lambda row: [])
    return world()


@pytest.fixture
def operator(here: World) -> Caller:
    user = here.people["Operator"]
    assert user
    return Caller(user)


@pytest.fixture(scope="package")
def processes(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    processes = Portal(
        tmp_path_factory.mktemp("faults"),
        MOVES_TOKENS_FOUR_EYES="false",
        MOVES_TOKEN_REQUESTS_PER_MINUTE="1000000",
        GUNICORN_CMD_ARGS="--limit-request-line=0",  # a long address is to come to the API, not to end before it
    )
    yield processes
    processes.end()


@pytest.fixture
def portal(regions: dict[str, Region], processes: Portal, settings: LazySettings) -> Iterator[Portal]:
    """One that serves, and on which what a token asks for waits for nobody."""
    settings.REDIS_URL = processes.redis_url
    yield processes
    processes.come_to_rest()

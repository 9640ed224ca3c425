from __future__ import annotations

import logging

import pytest
from django.conf import LazySettings

from migrations_app.actions import deciding, requesting
from tests.api.caller import Caller
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

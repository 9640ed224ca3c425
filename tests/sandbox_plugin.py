"""Runs the tests against real servers: a servers-only sandbox in `.sandbox-test`, for the length of one test run. Each
worker of xdist has one of its own.

Loaded by `-p tests.sandbox_plugin`. It has to come before Django's settings are read, as they name the servers. With
KEEP_TEST_SANDBOX=1 the sandbox is left running and the next run uses it: seconds less, and data of the last run.
TEST_SANDBOX_DIR names another folder, for two runs at once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Generator
from pathlib import Path

import pytest

_STARTED = "PORTAL_TEST_SANDBOX"
"""Set for pytest runs inside a test: they use the sandbox that is there."""

_ONLY_LOOKING = ("help", "version", "collectonly", "markers", "showfixtures", "show_fixtures_per_test", "cacheshow")


# A wrapper runs before all other implementations; pytest-django reads the settings in one of those.
@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None]:
    options = early_config.known_args_namespace
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    has_workers = bool(getattr(options, "numprocesses", None)) and not worker
    if not (os.environ.get(_STARTED) or has_workers or any(getattr(options, name, None) for name in _ONLY_LOOKING)):
        _start(early_config, worker)
    yield


def _start(config: pytest.Config, worker: str) -> None:
    from migrations_app.errors import PortalError
    from portal.sandbox import lifecycle
    from portal.sandbox.environment import environment

    keep = os.environ.get("KEEP_TEST_SANDBOX") == "1"
    checkout = Path(__file__).resolve().parents[1]
    folder = os.environ.get("TEST_SANDBOX_DIR") or str(checkout / ".sandbox-test")
    os.environ["SANDBOX_DIR"] = f"{folder}-{worker}" if worker else folder
    os.environ.setdefault("SANDBOX_FSYNC", "off")
    try:
        if not keep:
            lifecycle.reset()
            config.add_cleanup(lifecycle.reset)
        with Path(__file__).open() as this:  # one after the other: both look for free ports
            fcntl.flock(this, fcntl.LOCK_EX)
            lifecycle.up(servers_only=True)
        os.environ.update(environment())
    except PortalError as error:
        raise pytest.UsageError(str(error)) from error
    os.environ[_STARTED] = os.environ["SANDBOX_DIR"]

"""Several edges serve the app, and one of them does not answer."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from django.conf import LazySettings
from django.conf import settings as now

from migrations_app import actions
from migrations_app.dataplane import edge
from migrations_app.dataplane.edge_route import Route
from migrations_app.models import App, Region
from migrations_app.move import Move
from migrations_app.states import Status, Step
from migrations_app.steps import STEPS
from tests.conftest import before, carry, moved
from tests.test_guestbook_move import audited, nothing_in, under_traffic

GONE = "http://127.0.0.1:1"


@pytest.fixture
def real(settings: LazySettings) -> str:
    settings.MOVES_BACKOFF_MAX_SECONDS = 0.01
    return str(now.EDGE_ADMIN_URLS[0])


def name_of(url: str) -> str:
    return urlsplit(url).netloc


@pytest.mark.parametrize("order", [[0, 1], pytest.param([1, 0], marks=pytest.mark.slow)])
def test_one_that_is_gone_at_the_switch_keeps_the_others_from_nothing(
    app: App,
    regions: dict[str, Region],
    real: str,
    settings: LazySettings,
    monkeypatch: pytest.MonkeyPatch,
    order: list[int],
) -> None:
    us, eu = regions["us-east-1"], regions["eu-west-1"]
    both = [real, GONE]

    def lose(move: Move) -> None:
        settings.EDGE_ADMIN_URLS = [both[i] for i in order]

    before(monkeypatch, STEPS[Step.FLIPPING_ROUTING], lose)
    held = moved(app, "eu-west-1")
    assert (held.status, held.ends_as, held.pivot_at) == (Status.HELD, Status.FAILED, None)
    assert f"Edges not changed: {name_of(GONE)}. Changed: {name_of(real)}." in held.last_error
    left = [f"{kind} {app.slug} in {eu}" for kind in ("bucket", "database", "program")]
    assert f"Still there: {', '.join(left)}" in held.last_error
    assert f"Not looked at, as it does not answer: edge of {name_of(GONE)}." in held.last_error
    assert edge.read(real, app.slug) == Route(app.hostname, app.upstream_in(us), fenced=False)
    settings.EDGE_ADMIN_URLS = [real]
    _, ledger = under_traffic(app, lambda: None)  # writes are back, though the undoing is held
    assert audited(app, ledger).ok
    actions.retry(move_id=held.pk, acting_user=None, reason="it is no edge any more")
    assert carry(held).status == Status.FAILED
    assert nothing_in(eu, app)


def test_one_that_is_gone_after_the_pivot_is_named_and_retried(
    app: App, regions: dict[str, Region], real: str, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    eu = regions["eu-west-1"]

    def lose(move: Move) -> None:
        settings.EDGE_ADMIN_URLS = [GONE, real]

    with monkeypatch.context() as patched:
        before(patched, STEPS[Step.UNBLOCKING_WRITES], lose)
        held = moved(app, "eu-west-1")
    assert (held.status, held.current_step) == (Status.HELD, Step.UNBLOCKING_WRITES)
    assert f"Edges not changed: {name_of(GONE)}. Changed: {name_of(real)}." in held.last_error
    assert edge.read(real, app.slug) == Route(app.hostname, app.upstream_in(eu), fenced=False)
    settings.EDGE_ADMIN_URLS = [real]
    actions.retry(move_id=held.pk, acting_user=None, reason="it is no edge any more")
    assert carry(held).status == Status.COMPLETED

"""A move followed in a terminal that shows no pictures."""

from __future__ import annotations

import pytest
from django.conf import LazySettings

from migrations_app import queries
from migrations_app.management.watch import _LinePrinter
from migrations_app.models import AppMigration, Region
from tests.test_approval import Paper, on_paper, run


@pytest.fixture
def paper(transactional_db: None, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Paper:
    return on_paper(monkeypatch, settings)


def test_what_is_waited_for_is_said_at_once_and_once(paper: Paper, capsys: pytest.CaptureFixture[str]) -> None:
    show = _LinePrinter()

    def shown(move: AppMigration) -> list[str]:
        capsys.readouterr()
        show(queries.move(move.pk, viewer=None))
        return capsys.readouterr().out.splitlines()

    move = paper.request()
    headline, waits = shown(move)
    assert (headline.split()[-1], waits) == (
        "awaiting_approval",
        f"Somebody else approves it: approve_migration {move.pk} --as USER",
    )
    assert shown(move) == []
    paper.approve(move)
    assert [line.split()[-1] for line in shown(move)] == ["queued"]
    Region.objects.filter(slug="eu").update(accepts_moves=False)
    run(move)
    assert [line.split(maxsplit=2) for line in shown(move)] == [
        ["◷", "requested", "waiting  Waits: eu is closed to moves."]
    ]
    run(move)
    assert shown(move) == []
    Region.objects.update(accepts_moves=True)
    run(move)
    assert "✓ completed" in shown(move)[-1]

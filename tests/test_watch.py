"""A move followed in a terminal, with and without pictures."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from django.conf import LazySettings
from django.db.models.functions import Now
from rich.console import Console

from migrations_app import queries
from migrations_app.management import watch
from migrations_app.management.watch import _LinePrinter, _screen, as_text
from migrations_app.models import AppMigration, Region, StepRun
from migrations_app.states import RunStatus, Status, Step
from tests import on_paper as on_the_books
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


GIGABYTE = 10**9


@pytest.fixture
def at_work(transactional_db: None) -> StepRun:
    """A move that restores, a third of it done."""
    move = on_the_books.move(
        on_the_books.app("shop"), status=Status.RUNNING, current_step=Step.RESTORING_DATA, step_started_at=Now()
    )
    return StepRun.objects.create(
        migration=move,
        step=Step.RESTORING_DATA,
        progress_done=GIGABYTE,
        progress_total=3 * GIGABYTE,
        progress={
            "unit": "bytes", "done": GIGABYTE, "total": 3 * GIGABYTE, "rows": 1234567, "blobs": None,
            "rate": 20_000_000.0, "seconds_left": 100.0, "lag_bytes": 4096, "lag_seconds": 0.25,
            "tables": {
                "public.item": {"done": GIGABYTE, "total": 2 * GIGABYTE, "rows": 1234567, "state": "copying"},
                "public.event": {"done": 0, "total": GIGABYTE, "rows": 0, "state": "waiting"},
            },
        },
    )  # fmt: skip


HOW_FAR = "1.0 GB of 3.0 GB, 1,234,567 rows, 20.0 MB/s, 1 min 40 s left, lag 4.1 kB (0.2 s)"


def test_the_screen_shows_how_far_the_step_is_and_the_tables_at_work(at_work: StepRun) -> None:
    def screen() -> list[str]:
        console = Console(file=io.StringIO(), width=200)
        console.print(_screen(queries.move(at_work.migration_id, viewer=None), console.width))
        return console.file.getvalue().splitlines()  # type: ignore[attr-defined]

    lines = screen()
    row = next(number for number, line in enumerate(lines) if "restoring_data" in line)
    assert f"33%  {HOW_FAR}" in lines[row]
    assert "public.item" in lines[row + 1]
    assert "copying  1.0 GB of 2.0 GB, 1,234,567 rows" in lines[row + 1]
    assert not any("public.event" in line for line in lines)
    StepRun.objects.update(status=RunStatus.DONE)
    assert not any("public.item" in line or HOW_FAR in line for line in screen())


def test_the_status_says_how_far_the_step_is(at_work: StepRun) -> None:
    assert f"33%  {HOW_FAR}" in as_text(queries.move(at_work.migration_id, viewer=None))


def test_plain_lines_say_how_far_only_now_and_then(
    at_work: StepRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show = _LinePrinter()

    def shown_after(seconds: float) -> list[str]:
        now[0] += seconds
        capsys.readouterr()
        show(queries.move(at_work.migration_id, viewer=None))
        return [line for line in capsys.readouterr().out.splitlines() if "restoring_data" in line]

    now = [1000.0]
    monkeypatch.setattr(watch, "time", SimpleNamespace(monotonic=lambda: now[0]))
    line = f"  restoring_data: {HOW_FAR}"
    assert [shown_after(seconds) for seconds in (0, 9, 1, 9, 0.9, 0.1)] == [[], [], [line], [], [], [line]]

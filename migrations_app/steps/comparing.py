"""Both sides are compared, and what is found kept with the move; behind a stream, for the most part before the block.

What a comparison under a stream has done so far lies in the work folder, beside the dump: it names rows by their keys,
which may be secrets of the app. Where it is not to be had, all is compared anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.conf import settings
from django.utils import timezone

from migrations_app.errors import PermanentError
from migrations_app.models import AppMigration
from migrations_app.move import Move
from migrations_app.steps import way_in
from migrations_app.verification.comparison import compare
from migrations_app.verification.report import Depth, Report
from migrations_app.verification.streaming import StreamingComparison


@contextmanager
def under_the_stream(move: Move) -> Iterator[StreamingComparison]:
    with StreamingComparison(
        move.source_db,
        move.dest_db,
        stream=way_in.stream_name(move),
        watch=way_in.watch_name(move),
        jobs=settings.MOVES_COPY_JOBS,
        depth=Depth(settings.MOVES_VERIFICATION_DEPTH),
        check=way_in.watched(move),
        kept=_kept(move),
        keep=lambda state: _keep(move, state),
        on_progress=lambda done, total: move.progress(done, total, "rows"),
    ) as comparison:
        comparison.begin()
        yield comparison


def compare_while_it_streams(move: Move) -> None:
    """All of it, but for what is written meanwhile and what no stream carries: that is left for the block."""
    left, report = _compared_so_far(move)
    _settle_on(move, report)
    move.act(f"Left to be compared while writes are blocked: {left} rows.")


def narrow(move: Move) -> None:
    """Right before the block: leave as little for it as can be."""
    left, report = _compared_so_far(move)
    if not report.equal:
        _settle_on(move, report)
    move.act(f"{left} rows have been written since they were compared.")


def _compared_so_far(move: Move) -> tuple[int, Report]:
    """How many rows are left to be compared, and what was found. What an earlier call has compared is not again."""
    with under_the_stream(move) as comparison:
        comparison.compare_rows()
        comparison.compare_properties()
        return comparison.narrow(), comparison.report()


def compare_at_rest(move: Move) -> None:
    """Where nobody writes on either side."""
    report = compare(
        move.source_db,
        move.dest_db,
        jobs=settings.MOVES_COPY_JOBS,
        check=move.check,
        on_table=lambda done, total: move.progress(done, total, "tables"),
    )
    _settle_on(move, report)


def settle(move: Move, comparison: StreamingComparison) -> None:
    """In the block, behind the drain: what was left."""
    _settle_on(move, comparison.settle())


def check_again(move: Move, comparison: StreamingComparison) -> None:
    """Behind the hard fence and its drain: what came in between."""
    _settle_on(move, comparison.check_again())


def refuse_unless_equal(move: Move) -> None:
    """No pivot without a young report that both sides are equal. Errors: PermanentError `not_verified`."""
    report = AppMigration.objects.values_list("verification", flat=True).get(pk=move.row.pk) or {}
    limit = settings.MOVES_VERIFICATION_MAX_AGE_SECONDS
    if report.get("equal") and (timezone.now() - datetime.fromisoformat(report["at"])).total_seconds() < limit:
        return
    raise PermanentError(
        f"Both sides were not found equal within the last {limit:.0f} s.",
        hint="Request the move again; MOVES_VERIFICATION_MAX_AGE_SECONDS is how old the comparison may be.",
        code="not_verified",
    )


def _settle_on(move: Move, report: Report) -> None:
    """Keep the report. Errors: PermanentError `sides_differ`."""
    move.keep_report(report.as_json())
    move.act(report.sentence())
    if not report.equal:
        raise PermanentError(
            report.sentence(),
            hint=f"`move_app_status {move.app} {move.row.pk}` names every difference.",
            code="sides_differ",
        )


def _kept(move: Move) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((move.work_folder / "comparison.json").read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return state


def _keep(move: Move, state: dict[str, Any]) -> None:
    move.work_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = move.work_folder / "comparison.new"
    new.write_text(json.dumps(state))
    new.replace(move.work_folder / "comparison.json")

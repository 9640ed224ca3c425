"""What is asked for, what may go wrong with it and how it is taken back, each in a line: for whoever has five seconds
to say yes or no."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from django.conf import settings

from migrations_app.dashboard.display import ago, badge, markup, page_of
from migrations_app.models import AppMigration
from migrations_app.states import COPIES_LIVE, STARTS, Act, Kind, Status
from migrations_app.units import size, span

Tone = Literal["good", "ask", "bad", "quiet"]
_WORST_FIRST: tuple[Tone, ...] = ("bad", "ask", "good", "quiet")


@dataclass(frozen=True)
class Risk:
    tone: Tone
    text: str


def headline(act: Act, move: AppMigration) -> str:
    """What is asked for, in a sentence."""
    app, source, dest = move.app, move.source_region, move.dest_region
    if act in STARTS:
        if move.kind == Kind.REHEARSAL:
            return f"Rehearse the move of {app} from {source} to {dest}; it stays where it is."
        if move.kind == Kind.REVERSE:
            return f"Bring {app} back from {source} to {dest}."
        how = "live" if move.strategy in COPIES_LIVE else f"by {move.strategy}"
        return f"Move {app} from {source} to {dest}, {how}."
    if act is Act.TEARDOWN:
        return f"Tear down the replica of {app} in {source}."
    return f"{act.label} the {move.kind} of {app} from {source} to {dest}, which is {move.status.replace('_', ' ')}."


def tone_of(risks: list[Risk]) -> Tone:
    """That of the worst."""
    return next(tone for tone in _WORST_FIRST if tone in {"quiet", *(risk.tone for risk in risks)})


def risks_of(
    act: Act,
    move: AppMigration,
    *,
    findings: dict[str, Any],
    estimate: dict[str, Any] | None,
    last: dict[str, Any] | None,
) -> list[Risk]:
    """`findings` as findings_in() has them; `last` is the rehearsal before, as rehearsal_of() describes it."""
    if act is Act.TEARDOWN:
        return [
            Risk("bad", f"It cannot be undone: the way back to {move.source_region} is gone for good."),
            Risk("quiet", f"{move.app} goes on in {move.dest_region}; no write is blocked."),
        ]
    if act is Act.ABORT:
        return [
            Risk("ask", "What it has done so far is undone, and the time it took is lost."),
            Risk("good", f"{move.app} goes on in {move.source_region}."),
        ]
    if act is Act.RETRY:
        return [Risk("ask", "If what stopped it is still there, it is held again.")]
    found = [_blocked(move, estimate), *_found(findings)]
    if move.kind == Kind.MOVE:
        found.append(_rehearsed(move, last))
    return [*found, Risk("good", _in_short(move))]


def _blocked(move: AppMigration, estimate: dict[str, Any] | None) -> Risk:
    if move.kind == Kind.REHEARSAL:
        return Risk("good", "No write is blocked.")
    seconds, at_most = (estimate or {}).get("blocked_seconds"), move.block_budget
    if seconds is None:
        return Risk(
            "ask",
            f"How long writes are blocked nobody has measured; past {span(at_most)} it aborts itself.",
        )
    if seconds > at_most:
        return Risk("bad", f"Writes are blocked for about {span(seconds)}, but past {span(at_most)} it aborts itself.")
    return Risk("quiet", f"Writes are blocked for about {span(seconds)}.")


def _found(findings: dict[str, Any]) -> list[Risk]:
    failed, warned = findings["failed"], findings["warned"]
    found = []
    if failed:
        found.append(Risk("bad", f"Preflight says that it would fail: {_counted(failed, 'finding')}."))
    if warned:
        found.append(Risk("ask", f"Preflight has {_counted(warned, 'warning')}."))
    return found or [Risk("good", "Preflight found nothing against it.")]


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _rehearsed(move: AppMigration, last: dict[str, Any] | None) -> Risk:
    if last is None:
        return Risk("quiet", f"It was never rehearsed to {move.dest_region}.")
    if last["went_well"]:
        return Risk("good", markup("It was rehearsed {} ago, and went well.", last["ago"]))
    return Risk("ask", markup("Its last rehearsal, {} ago, did not go well.", last["ago"]))


def _in_short(move: AppMigration) -> str:
    if move.kind == Kind.REHEARSAL:
        return "Everything it makes is removed at its end."
    return f"The way back stays open: {move.source_region} keeps a current replica."


def rehearsal_of(last: AppMigration | None) -> dict[str, Any] | None:
    """The app's last rehearsal that came to an end, for a page: `badge, page, ago, went_well, figures, error`."""
    if last is None:
        return None
    report, data = last.verification or {}, last.fact("data_bytes")
    began = getattr(last, "began_at", None)
    figures = []
    if began and last.completed_at:
        figures.append(f"took {span((last.completed_at - began).total_seconds())}")
    if data is not None:
        figures.append(f"{size(data)} of data")
    if report:
        figures.append(f"{report['rows']} rows compared, {'all equal' if report['equal'] else 'not all equal'}")
    return {
        "badge": badge(last.status),
        "page": page_of(last),
        "ago": ago(last.completed_at),
        "went_well": last.status == Status.COMPLETED,
        "figures": ", ".join(figures),
        "error": last.last_error,
    }


def way_back(act: Act, move: AppMigration) -> list[str]:
    """How it is taken back, and until when."""
    app, source = move.app, move.source_region
    if act is Act.TEARDOWN:
        return [f"There is none: {app} comes back to {source} by a new move only, which copies everything."]
    if act is Act.ABORT:
        return ["There is none: to move after all, it has to be requested again."]
    if act is Act.RETRY:
        return [
            "Past the switch it can be reversed while it is held, and once it is completed."
            if move.pivot_at
            else "Until the switch it can be aborted: everything is undone."
        ]
    if move.kind == Kind.REHEARSAL:
        return ["It undoes itself; Abort ends it earlier."]
    return [
        f"Until the switch: Abort. Everything is undone, and {app} goes on in {source}.",
        f"After it: Reverse, for as long as {source} keeps the replica. Nothing tears it down by itself; after "
        f"{settings.MOVES_REPLICA_REVIEW_DAYS:g} days an alarm asks whether it is still needed.",
    ]

"""What the overview tells to everybody who sees the same teams: what is wrong, what goes on, and what is kept."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib.auth.models import User

from migrations_app import alarms, approvals, queries
from migrations_app.dashboard.alarm_rows import alarm_rows
from migrations_app.dashboard.display import badge, page_of, size
from migrations_app.dashboard.live import Fragment
from migrations_app.dashboard.regions_now import as_counted, counted
from migrations_app.dashboard.running import line, running
from migrations_app.dashboard.standing import writes_of
from migrations_app.dashboard.way_back import badge_of_replica, behind
from migrations_app.models import Alarm, AppMigration, Region, SourceReplica
from migrations_app.states import Status

MOST, FEW = 30, 8
"""So many rows a block shows of what presses and of what does not; the lists have the rest."""


def fragment(name: str, found: Iterable[Any], count: int, *, may_ask: bool) -> Fragment:
    """A block with the rows that it shows, of `count` that there are."""
    shown = list(found)
    context = {"found": shown, "count": count, "more": count - len(shown), "may_ask": may_ask}
    return Fragment(name, f"dashboard/_{name}.html", context)


def blocks(viewer: User, now: datetime, *, may_ask: bool) -> tuple[list[Fragment], dict[str, int]]:
    """The blocks, and how many there are of what presses: `wrong`, `held`, `running`."""
    wrong = sorted(alarms.now_open(viewer), key=lambda alarm: not alarm.is_bad)
    moves = queries.active_moves(viewer=viewer)
    places = queries.give_regions(moves)
    held = [move for move in moves if move.status == Status.HELD]
    at_work = [move for move in moves if move.status in (Status.RUNNING, Status.ABORTING)]
    queued = [move for move in moves if move.status == Status.QUEUED]
    replicas, kept = queries.ways_back(viewer=viewer, now=now, most=FEW)
    found: list[tuple[str, list[Any], int]] = [
        ("alarms", alarm_rows(wrong)[:MOST], len(wrong)),
        ("held", _held_rows(held), len(held)),
        ("running", [line(running(move, now)) for move in at_work[:MOST]], len(at_work)),
        ("scheduled", [_scheduled(move, now) for move in queued[:FEW]], len(queued)),
        ("replicas", [_replica(replica, now) for replica in replicas], kept),
        ("regions", _regions(viewer, places, wrong), len(places)),
    ]
    pressing = {"wrong": sum(alarm.is_bad for alarm in wrong), "held": len(held), "running": len(at_work)}
    return [fragment(*block, may_ask=may_ask) for block in found], pressing


def _held_rows(held: list[AppMigration]) -> list[dict[str, Any]]:
    stopped = queries.stopped_at(held) if held else {}
    return [_held(move, stopped.get(move.pk)) for move in held]


def _held(move: AppMigration, stopped: datetime | None) -> dict[str, Any]:
    return {
        "move": move,
        "page": page_of(move),
        "badge": badge(move.status),
        "sentence": f"{'The undoing' if move.ends_as else 'The move'} stopped at {move.current_step}.",
        "error": move.last_error,
        "since": stopped,
        "writes": writes_of(move),
        "next": "Retry or Reverse" if move.pivot_at else "Retry or Abort",
    }


def _scheduled(move: AppMigration, now: datetime) -> dict[str, Any]:
    starts = approvals.earliest_start(move, now)
    run = queries.open_run(move)
    return {
        "move": move,
        "page": page_of(move),
        "starts": starts if starts and starts > now else None,
        "waits": run.reason if run else "" if starts else "The maintenance windows of its regions never meet.",
    }


def _replica(replica: SourceReplica, now: datetime) -> dict[str, Any]:
    return {
        "replica": replica,
        "page": page_of(replica),
        "badge": badge_of_replica(replica),
        "problem": replica.problem if replica.is_troubled else "",
        "behind": behind(replica, now),
        "size": size(replica.size_bytes),
        "is_overdue": replica.review_at <= now,
    }


def _regions(viewer: User, places: list[Region], wrong: list[Alarm]) -> list[dict[str, Any]]:
    found = as_counted(places, viewer, counted(viewer), wrong)
    return [{"page": page_of(now.region), "now": now} for now in found]

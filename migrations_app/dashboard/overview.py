"""The first page: what is wrong, what goes on, what waits for whom, and what is kept."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from migrations_app import alarms, approvals, queries, workers
from migrations_app.clock import database_now
from migrations_app.dashboard import live
from migrations_app.dashboard.consent import asked_by
from migrations_app.dashboard.display import badge, page_of, size
from migrations_app.dashboard.live import Fragment, Live
from migrations_app.dashboard.regions_now import UNDER_WAY, RegionNow
from migrations_app.dashboard.running import running
from migrations_app.dashboard.standing import writes_of
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import Alarm, AppMigration, Approval, Region, SourceReplica
from migrations_app.models.alarm import AlarmCode
from migrations_app.permissions import Verb, can
from migrations_app.states import STARTS, ReplicaState, Status

_MOST, _FEW = 30, 8
"""So many rows a block shows of what presses and of what does not; the lists have the rest."""


def page(request: HttpRequest, site: AdminSite) -> TemplateResponse:
    context = {
        **site.each_context(request),
        "title": "Overview",
        "may_look": can(user_of(request), Verb.VIEW),
    }
    return live.page(request, "dashboard/overview.html", _live(request), context)


def news(request: HttpRequest, site: AdminSite) -> HttpResponse:
    return live.news(request, _live(request))


def _live(request: HttpRequest) -> Live:
    user = user_of(request)
    if not can(user, Verb.VIEW):
        return Live([], title="Overview", tone="quiet", address=reverse("admin:overview_live"), is_over=True)
    now = database_now()
    wrong = sorted(alarms.now_open(user), key=lambda alarm: not _is_bad(alarm))
    moves, asked = queries.active_moves(viewer=user), queries.open_approvals(viewer=user)
    places = queries.give_regions([*moves, *(approval.migration for approval in asked)])
    held = [_held(move) for move in moves if move.status == Status.HELD]
    at_work = [move for move in moves if move.status in (Status.RUNNING, Status.ABORTING)]
    queued = [move for move in moves if move.status == Status.QUEUED]
    waiting = _waiting(user, asked, now)
    replicas, kept = queries.ways_back(viewer=user, now=now, most=_FEW)
    blocks: list[tuple[str, list[Any], int]] = [
        ("alarms", [_alarm(alarm) for alarm in wrong[:_MOST]], len(wrong)),
        ("held", held, len(held)),
        ("running", [running(move, now) for move in at_work[:_MOST]], len(at_work)),
        ("waiting", waiting[:_MOST], len(waiting)),
        ("scheduled", [_scheduled(move, now) for move in queued[:_FEW]], len(queued)),
        ("replicas", [_replica(replica, now) for replica in replicas], kept),
        ("regions", regions := _regions(user, places, moves, wrong), len(regions)),
    ]
    may_ask = can(user, Verb.REQUEST)
    fragments = [
        Fragment(
            name,
            f"dashboard/_{name}.html",
            {"found": found, "count": count, "more": count - len(found), "may_ask": may_ask},
        )
        for name, found, count in blocks
    ]
    mine = sum(row["is_mine"] for row in waiting)
    tab = _tab(sum(map(_is_bad, wrong)), len(held), mine, len(at_work))
    return Live(fragments, *tab, reverse("admin:overview_live"))


def _tab(wrong: int, held: int, mine: int, at_work: int) -> tuple[str, str]:
    """What the tab says: what is most pressing."""
    if held:
        return f"! {held} held", "bad"
    if wrong:
        return f"! {wrong} alarm{'s' * (wrong > 1)}", "bad"
    if mine:
        return f"? {mine} to approve", "ask"
    if at_work:
        return f"▶ {at_work} running", "busy"
    return "Overview", "quiet"


def _held(move: AppMigration) -> dict[str, Any]:
    return {
        "move": move,
        "page": page_of(move),
        "badge": badge(move.status),
        "sentence": f"{'The undoing' if move.ends_as else 'The move'} stopped at {move.current_step}.",
        "error": move.last_error,
        "since": move.step_started_at,
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


def _waiting(user: User, found: list[Approval], now: datetime) -> list[dict[str, Any]]:
    """What the user may decide on first; then what they asked for; then the rest. The longest waiting first."""
    rows = [
        {
            "approval": approval,
            "move": approval.migration,
            "page": page_of(approval.migration),
            "what": approval.migration.kind if approval.act in STARTS else str(approval.act),
            "asked_by": asked_by(approval),
            "is_own": approval.requested_by_id == user.pk,
            "is_mine": can(user, Verb.APPROVE, approval.migration) and approval.requested_by_id != user.pk,
            "decide": reverse("admin:migrations_app_appmigration_approve", args=[approval.migration_id]),
        }
        for approval in found
        if approval.expires_at > now
    ]
    return sorted(rows, key=lambda row: (not row["is_mine"], not row["is_own"]))


def _alarm(alarm: Alarm) -> dict[str, Any]:
    return {"alarm": alarm, "page": page_of(alarm) if alarm.pk else "", "is_bad": _is_bad(alarm)}


def _is_bad(alarm: Alarm) -> bool:
    """Something is wrong; that a replica should be looked at again is a question only."""
    return alarm.code != AlarmCode.REPLICA_OVERDUE


def _replica(replica: SourceReplica, now: datetime) -> dict[str, Any]:
    troubled = bool(replica.problem) and replica.state == ReplicaState.RETAINED
    return {
        "replica": replica,
        "page": page_of(replica),
        "badge": badge("warn", replica.state) if troubled else badge(replica.state),
        "problem": replica.problem if troubled else "",
        "lag": "" if replica.lag_bytes is None else f"{size(replica.lag_bytes)} behind",
        "size": size(replica.size_bytes),
        "is_overdue": replica.review_at <= now,
    }


def _regions(user: User, places: list[Region], moves: list[AppMigration], wrong: list[Alarm]) -> list[dict[str, Any]]:
    under_way = Counter(
        region for move in moves if move.status in UNDER_WAY for region in (move.source_region_id, move.dest_region_id)
    )
    at_work, apps = workers.alive(), queries.apps_by_region(viewer=user)
    return [
        {
            "page": page_of(region),
            "now": RegionNow(
                region,
                apps=apps.get(region.pk, 0),
                moves=under_way[region.pk],
                workers=None if at_work is None else at_work[region.slug],
                alarms=[alarm for alarm in wrong if alarm.region_id == region.pk],
            ),
        }
        for region in places
    ]

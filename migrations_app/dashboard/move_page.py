"""The page of a move: where it stands, its steps, and everything that was found, decided and done about it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from migrations_app import offers, permissions, queries
from migrations_app.clock import database_now
from migrations_app.dashboard import live
from migrations_app.dashboard.buttons import buttons_of
from migrations_app.dashboard.commenting import draft
from migrations_app.dashboard.confirming import as_http
from migrations_app.dashboard.display import list_of, route, sign_of, tone_of
from migrations_app.dashboard.ending import ask_again
from migrations_app.dashboard.facts import facts
from migrations_app.dashboard.findings import comparison_of, findings_of
from migrations_app.dashboard.live import Fragment, Live
from migrations_app.dashboard.move_charts import charts_of
from migrations_app.dashboard.sides import sides
from migrations_app.dashboard.standing import standing
from migrations_app.dashboard.timeline import timeline
from migrations_app.dashboard.trail import approvals_table, trail
from migrations_app.dashboard.viewer import user_of
from migrations_app.dashboard.way_back import way_back
from migrations_app.engine.plan import plan_of
from migrations_app.models import AppMigration, AuditEvent
from migrations_app.permissions import Verb
from migrations_app.states import REPLICA_OPEN, TERMINAL, ApprovalState, Status, Step


def page(request: HttpRequest, move: AppMigration, site: AdminSite) -> TemplateResponse:
    user = user_of(request)
    context = {
        **site.each_context(request),
        "title": f"{move.app}: {route(move)}",
        "move": move,
        "opts": AppMigration._meta,
        "may_comment": permissions.can(user, Verb.COMMENT, move),
        "draft": draft(request, move),
        "trail_page": list_of(AuditEvent, migration__id__exact=move.pk)
        if user.has_perm("migrations_app.view_auditevent")
        else "",
    }
    return live.page(request, "dashboard/move.html", _live(user, move), context)


@as_http()
def news(request: HttpRequest, move_id: UUID, site: AdminSite) -> HttpResponse:
    user = user_of(request)
    move = queries.move(move_id, viewer=user)
    permissions.require(user, Verb.VIEW, move)
    return live.news(request, _live(user, move))


def _live(user: User, move: AppMigration) -> Live:
    now = database_now()
    runs, asked = queries.step_runs(move), queries.approvals_of(move)
    waiting = next((approval for approval in asked if approval.state == ApprovalState.OPEN), None)
    offered = offers.about(move, waiting, now, user=user)
    is_over = move.status in TERMINAL
    head = {
        "move": move,
        "standing": standing(move, runs, asked, waiting, now, may_decide=any(o.verb in _DECIDING for o in offered)),
        "way_back": way_back(move, now),
        "buttons": [*ask_again(move, user), *buttons_of(move, user, offered)],
        "elsewhere": None if is_over else sides(move, runs),
    }
    fragments = [Fragment("standing", "dashboard/_standing.html", head)]
    if user.has_perm("migrations_app.view_steprun"):
        fragments += [
            Fragment(f"step-{step['step']}", "dashboard/_step.html", {"step": step}, tag="li", group="steps")
            for step in timeline(move, runs)
        ]
    parts: list[tuple[str, dict[str, Any]]] = [
        ("facts", {"facts": facts(move, now)}),
        ("charts", {"charts": charts_of(runs)}),
        ("comparison", {"comparison": comparison_of(move)}),
        ("findings", {"findings": findings_of(move), "none": _NO_PREFLIGHT}),
    ]
    if user.has_perm("migrations_app.view_approval"):
        parts.append(("approvals", {"approvals": approvals_table(asked)}))
    if user.has_perm("migrations_app.view_auditevent"):
        parts.append(("trail", {"trail": trail(move)}))
    fragments += [Fragment(name, f"dashboard/_{name}.html", context) for name, context in parts]
    replica = getattr(move, "source_replica", None)
    return Live(
        fragments,
        title=_tab(move),
        tone=tone_of(move.status),
        address=reverse("admin:move_live", args=[move.pk]),
        is_over=is_over and not (replica and replica.state in REPLICA_OPEN),
    )


_DECIDING = (Verb.ABORT, Verb.RETRY, Verb.REVERSE)
"""The verbs that end a hold."""
_NO_PREFLIGHT = "None is kept: it runs when the move is asked for, if that needs approval, and again before it begins."


def _tab(move: AppMigration) -> str:
    """What a tab in the background says: how it goes, of which app."""
    if move.status == Status.RUNNING:
        plan = plan_of(move.strategy)
        return f"▶ {plan.index(Step(move.current_step)) + 1}/{len(plan)} {move.app} → {move.dest_region}"
    return f"{sign_of(move.status)} {move.app} → {move.dest_region}"

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from migrations_app import approvals, estimates, queries
from migrations_app.admin.listing import Empty, Exported
from migrations_app.admin.sight import InSight, LookOnly, TeamFilter
from migrations_app.admin.trail import WithTrail
from migrations_app.clock import database_now
from migrations_app.dashboard.buttons import buttons_of
from migrations_app.dashboard.confirming import confirm
from migrations_app.dashboard.consent import asked_by, time_limit
from migrations_app.dashboard.display import (
    NOTHING,
    badge,
    link,
    list_of,
    moment,
    route,
    route_column,
    time_column,
    web_link,
    who,
)
from migrations_app.dashboard.findings import comparison_of, findings_of
from migrations_app.dashboard.standing import blocked_for, standing, step_rows
from migrations_app.dashboard.verbs import DEEDS
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import App, AppMigration, Approval, AuditEvent
from migrations_app.states import TERMINAL, Status

_FIELDS: dict[str, list[str | tuple[str, ...]]] = {
    "What": [
        ("app_page", "from_to"),
        ("kind", "strategy"),
        "strategy_reason",
        "expected",
        ("reverses_page", "replica"),
        "id",
    ],
    "Who and why": [("requester", "ticket"), "reason"],
    "Times": [("initiated", "earliest"), ("blocked", "unblocked", "blocked_long"), ("pivot", "ended")],
    "Where it stands": [("state", "step", "step_started"), ("retry_count", "worker_deaths", "worker")],
    "Last error": ["last_error", "last_error_code"],
}


@admin.register(AppMigration)
class AppMigrationAdmin(WithTrail, Exported, InSight, LookOnly):
    list_display = ["app", "kind", "from_to", "state", "step", "requester", "initiated"]
    list_filter = ["status", "kind", "source_region", "dest_region", ("app__owner", TeamFilter), "initiated_at"]
    list_select_related = ["app__owner", "source_region", "dest_region", "requested_by"]
    search_fields = ["id", "app__slug", "reason", "ticket_url"]
    search_help_text = "App, id of the move, reason or ticket."
    csv_columns = {
        "move": lambda move: move.pk,
        "app": lambda move: move.app,
        "team": lambda move: move.app.owner,
        "kind": lambda move: move.kind,
        "strategy": lambda move: move.strategy,
        "source_region": lambda move: move.source_region,
        "dest_region": lambda move: move.dest_region,
        "status": lambda move: move.status,
        "current_step": lambda move: move.current_step,
        "requested_by": lambda move: move.requested_by,
        "reason": lambda move: move.reason,
        "ticket": lambda move: move.ticket_url,
        "initiated_at": lambda move: move.initiated_at,
        "blocked_seconds": queries.blocked_seconds,
        "pivot_at": lambda move: move.pivot_at,
        "completed_at": lambda move: move.completed_at,
        "last_error": lambda move: move.last_error,
    }

    def empty(self, request: HttpRequest) -> Empty:
        return Empty("No app that you see was ever moved.", "Apps", list_of(App))

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                f"<uuid:move_id>/{verb}/",
                self.admin_site.admin_view(confirm),
                {"verb": verb, "site": self.admin_site},
                name=f"migrations_app_appmigration_{verb}",
            )
            for verb in DEEDS
        ]
        return pages + super().get_urls()

    def get_fieldsets(self, request: HttpRequest, obj: AppMigration | None = None) -> Any:
        hidden = {"Last error"} if obj is None or not obj.last_error else set()
        return [(title, {"fields": fields}) for title, fields in _FIELDS.items() if title not in hidden]

    @admin.display(description="expected")
    def expected(self, move: AppMigration) -> str:
        return estimates.in_words(move.estimate) if move.estimate else NOTHING

    def trail_of(self, obj: AppMigration) -> dict[str, Any]:
        return {"migration__id__exact": obj.pk}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        move, user = context["original"], user_of(request)
        context |= {
            "title": f"{move.app}: {route(move)}",
            "subtitle": None,
            "standing": standing(move),
            "buttons": buttons_of(move, user),
            "steps": step_rows(move) if user.has_perm("migrations_app.view_steprun") else None,
            "findings": findings_of(move),
            "comparison": comparison_of(move),
            "approvals": _approvals(move) if user.has_perm("migrations_app.view_approval") else None,
            "trail": _trail(move) if user.has_perm("migrations_app.view_auditevent") else None,
        }
        return super().render_change_form(request, context, *args, **kwargs)

    # -- columns and fields --------------------------------------------------------------------------------------

    @admin.display(description="app")
    def app_page(self, move: AppMigration) -> str:
        return link(move.app)

    @admin.display(description="from → to", ordering="dest_region__slug")
    def from_to(self, move: AppMigration) -> str:
        return route_column(move)

    @admin.display(description="status", ordering="status")
    def state(self, move: AppMigration) -> str:
        return badge(move.status)

    @admin.display(description="current step", ordering="current_step")
    def step(self, move: AppMigration) -> str:
        return move.current_step.replace("_", " ")

    @admin.display(description="requested by", ordering="requested_by__username")
    def requester(self, move: AppMigration) -> str:
        return who(move.requested_by.get_username() if move.requested_by else None)

    @admin.display(description="reverses")
    def reverses_page(self, move: AppMigration) -> str:
        return link(move.reverses) if move.reverses else NOTHING

    @admin.display
    def ticket(self, move: AppMigration) -> str:
        return web_link(move.ticket_url)

    @admin.display(ordering="initiated_at")
    def initiated(self, move: AppMigration) -> str:
        return time_column(move.initiated_at)

    @admin.display(description="begins")
    def earliest(self, move: AppMigration) -> str:
        if move.status not in (Status.AWAITING_APPROVAL, Status.QUEUED):
            return NOTHING
        now = database_now()
        starts = approvals.earliest_start(move, now)
        if starts is None:
            return "never: the maintenance windows of the two regions are never open together"
        return f"{moment(starts)} at the earliest" if starts > now else "as soon as possible"

    @admin.display(description="current step since")
    def step_started(self, move: AppMigration) -> str:
        return moment(None if move.status in TERMINAL else move.step_started_at)

    @admin.display(description="writes blocked")
    def blocked(self, move: AppMigration) -> str:
        return moment(move.writes_blocked_at)

    @admin.display(description="writes open again")
    def unblocked(self, move: AppMigration) -> str:
        return moment(move.writes_unblocked_at)

    @admin.display(description="blocked for")
    def blocked_long(self, move: AppMigration) -> str:
        return blocked_for(move) or NOTHING

    @admin.display(description="switched")
    def pivot(self, move: AppMigration) -> str:
        return f"{moment(move.pivot_at)}; from here only forward" if move.pivot_at else NOTHING

    @admin.display
    def ended(self, move: AppMigration) -> str:
        return moment(move.completed_at)

    @admin.display
    def worker(self, move: AppMigration) -> str:
        return move.lease_owner or NOTHING

    @admin.display
    def replica(self, move: AppMigration) -> str:
        replica = getattr(move, "source_replica", None)
        return link(replica) if replica else NOTHING


def _approvals(move: AppMigration) -> list[dict[str, Any]]:
    return [
        {
            "act": approval.act,
            "badge": badge(approval.state),
            "asked": f"{asked_by(approval)}, {moment(approval.requested_at)}",
            "reason": approval.reason,
            "decided": f"{_name(approval.decided_by) or 'the portal'}, {moment(approval.decided_at)}"
            if approval.decided_at
            else NOTHING,
            "comment": approval.comment,
            "limit": _limit(approval),
        }
        for approval in queries.approvals_of(move)
    ]


def _limit(approval: Approval) -> str:
    limit = time_limit(approval)
    return f"{limit[0]} {moment(limit[1])}" if limit else NOTHING


def _trail(move: AppMigration) -> list[dict[str, Any]]:
    """What the audit trail says about it, the oldest first."""
    return [
        {
            "at": moment(event.at),
            "who": event.actor_name or event.address or "the portal",
            "surface": event.surface,
            "verb": event.verb.replace("_", " "),
            "change": f"{event.from_status} → {event.to_status}" if event.from_status else event.to_status,
            "reason": event.reason,
        }
        for event in AuditEvent.objects.filter(migration=move).order_by("id")
    ]


def _name(user: Any) -> str:
    return user.get_username() if user else ""

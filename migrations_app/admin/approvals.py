from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from migrations_app import queries
from migrations_app.admin.listing import Empty, Listed, titled
from migrations_app.admin.searching import Searched
from migrations_app.admin.sight import LookedAt, TeamFilter, regions_of
from migrations_app.dashboard.consent import asked_by, time_limit
from migrations_app.dashboard.display import NOTHING, badge, link, list_of, markup, page_of, route_column, time_column
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import AppMigration, Approval
from migrations_app.models.words import Words
from migrations_app.permissions import in_sight, sees_every_team
from migrations_app.states import ApprovalState

_ASKED = ("requested_at", titled("asked for", admin.DateFieldListFilter))


class StateFilter(admin.SimpleListFilter):
    """What waits for a decision, unless another state is asked for."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(state, state.label.lower()) for state in ApprovalState if state != ApprovalState.OPEN] + [
            ("all", "all")
        ]

    def choices(self, changelist: ChangeList) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "waiting for approval"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Approval]) -> QuerySet[Approval]:
        wanted = self.value() or ApprovalState.OPEN
        return queryset if wanted == "all" else queryset.filter(state=wanted)


@admin.register(Approval)
class ApprovalAdmin(Searched, Listed, LookedAt):
    list_display = ["move", "act", "state_shown", "asked_by", "reason", "limit", "decider"]
    list_display_links = None
    list_filter = [StateFilter, "act", ("migration__app__owner", TeamFilter), _ASKED]
    list_select_related = ["migration__app", "requested_by", "decided_by"]
    search_fields = ["migration__app__slug", "migration__id", "reason"]
    search_help_text = "App, id of the move, or words of the reason."
    id_searched = "migration"
    app_searched = "migration__app"
    words_searched = Words("reason")
    list_only = [
        *("migration__app__slug", "migration__source_region", "migration__dest_region", "migration__status"),
        *("act", "state", "reason", "requested_by__username", "requested_at", "expires_at", "decided_by__username"),
    ]

    def complete(self, request: HttpRequest, rows: list[Approval]) -> None:
        queries.give_regions((approval.migration for approval in rows), regions_of(request))

    def empty(self, request: HttpRequest) -> Empty:
        decided = list_of(Approval, **{StateFilter.parameter_name: "all"})
        return Empty("Nothing waits for approval.", "What was decided", decided)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Approval]:
        approvals, user = super().get_queryset(request), user_of(request)
        if sees_every_team(user):
            return approvals
        return approvals.filter(migration__in=in_sight(AppMigration.objects.all(), user))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        title = "Approvals" if StateFilter.parameter_name in request.GET else "Waiting for approval"
        return super().changelist_view(request, {"title": title, **(extra_context or {})})

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """It is looked at, and decided on, with its move."""
        approval = self.get_object(request, object_id)
        if approval is None:
            return super().change_view(request, object_id, *args, **kwargs)
        return redirect(page_of(approval.migration))

    @admin.display(description="move", ordering="migration__app__slug")
    def move(self, approval: Approval) -> str:
        move = approval.migration
        return link(move, markup("{}: {}", move.app, route_column(move)))

    @admin.display(description="state", ordering="state")
    def state_shown(self, approval: Approval) -> str:
        return badge(approval.state, "waits" if approval.state == ApprovalState.OPEN else "")

    @admin.display(description="asked for by", ordering="requested_at")
    def asked_by(self, approval: Approval) -> str:
        return markup("{}, {}", asked_by(approval), time_column(approval.requested_at))

    @admin.display(description="time limit", ordering="expires_at")
    def limit(self, approval: Approval) -> str:
        limit = time_limit(approval)
        return markup("{} {}", limit[0], time_column(limit[1])) if limit else NOTHING

    @admin.display(description="decided by", ordering="decided_by__username")
    def decider(self, approval: Approval) -> str:
        return approval.decided_by.get_username() if approval.decided_by else NOTHING

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from migrations_app import queries
from migrations_app.admin.listing import Empty, Exported, titled
from migrations_app.admin.searching import Searched
from migrations_app.admin.sight import InSight, LookOnly, RegionFilter, TeamFilter, regions_of
from migrations_app.dashboard import move_page
from migrations_app.dashboard.confirming import confirm
from migrations_app.dashboard.display import NOTHING, badge, list_of, route_column, time_column, who
from migrations_app.dashboard.typed import never_lost
from migrations_app.dashboard.verbs import DEEDS
from migrations_app.dashboard.viewer import user_of
from migrations_app.errors import NotFound
from migrations_app.models import App, AppMigration
from migrations_app.models.app_migration import LONG_FIELDS
from migrations_app.models.words import Words
from migrations_app.states import Status


@admin.register(AppMigration)
class AppMigrationAdmin(Searched, Exported, InSight, LookOnly):
    list_display = ["app", "kind", "from_to", "state", "step", "requester", "initiated"]
    list_filter = [
        "status",
        "kind",
        ("source_region", titled("source", RegionFilter)),
        ("dest_region", titled("destination", RegionFilter)),
        ("app__owner", TeamFilter),
        ("initiated_at", titled("asked for", admin.DateFieldListFilter)),
    ]
    list_select_related = ["app", "requested_by"]
    search_fields = ["id", "app__slug", "reason", "ticket_url"]
    search_help_text = "App, id of the move, words of reason or ticket."
    app_searched = "app"
    words_searched = Words("reason", "ticket_url")
    list_defer = LONG_FIELDS
    list_only = [
        *("app__slug", "source_region", "dest_region", "requested_by__username"),
        *("kind", "status", "current_step", "initiated_at"),
    ]
    file_prefetch = ["app__owner", "source_region", "dest_region"]
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
        "blocked_seconds": lambda move: move.blocked_seconds,
        "pivot_at": lambda move: move.pivot_at,
        "completed_at": lambda move: move.completed_at,
        "last_error": lambda move: move.last_error,
    }

    def empty(self, request: HttpRequest) -> Empty:
        return Empty("No app that you see was ever moved.", "Apps", list_of(App))

    def complete(self, request: HttpRequest, rows: list[AppMigration]) -> None:
        queries.give_regions(rows, regions_of(request))

    def get_urls(self) -> list[URLPattern]:
        pages = [
            path(
                f"<uuid:move_id>/{verb}/",
                never_lost(self.admin_site, confirm),
                {"verb": verb, "site": self.admin_site},
                name=f"migrations_app_appmigration_{verb}",
            )
            for verb in DEEDS
        ]
        return pages + super().get_urls()

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """The console's own page; to who may not see it, or would change it by a form, what Django says."""
        if request.method == "POST" or not self.has_view_permission(request):
            return super().change_view(request, object_id, *args, **kwargs)
        try:
            move = queries.move(unquote(object_id), viewer=user_of(request))
        except NotFound:
            return super().change_view(request, object_id, *args, **kwargs)
        return move_page.page(request, move, self.admin_site)

    @admin.display(description="from → to", ordering="dest_region__slug")
    def from_to(self, move: AppMigration) -> str:
        return route_column(move)

    @admin.display(description="status", ordering="status")
    def state(self, move: AppMigration) -> str:
        return badge(move.status)

    @admin.display(description="current step", ordering="current_step")
    def step(self, move: AppMigration) -> str:
        return NOTHING if move.status == Status.COMPLETED else move.current_step.replace("_", " ")

    @admin.display(description="requested by", ordering="requested_by__username")
    def requester(self, move: AppMigration) -> str:
        return who(move.requested_by.get_username() if move.requested_by else None)

    @admin.display(ordering="initiated_at")
    def initiated(self, move: AppMigration) -> str:
        return time_column(move.initiated_at)

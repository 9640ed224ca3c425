from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path

from migrations_app import queries
from migrations_app.admin.sight import InSight, LookOnly, TeamFilter
from migrations_app.dashboard import move_page
from migrations_app.dashboard.confirming import confirm
from migrations_app.dashboard.display import (
    badge,
    route_column,
    time_column,
    who,
)
from migrations_app.dashboard.verbs import DEEDS
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import AppMigration


@admin.register(AppMigration)
class AppMigrationAdmin(InSight, LookOnly):
    list_display = ["app", "kind", "from_to", "state", "step", "requester", "initiated"]
    list_filter = ["status", "kind", "source_region", "dest_region", ("app__owner", TeamFilter)]
    list_select_related = ["app", "source_region", "dest_region", "requested_by"]
    search_fields = ["id", "app__slug", "reason", "ticket_url"]
    search_help_text = "App, id of the move, reason or ticket."
    date_hierarchy = "initiated_at"

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

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> HttpResponse:
        """The console's own page; where there is no such move, what Django says."""
        move = self.get_object(request, unquote(object_id))
        if move is None or not self.has_view_permission(request, move):
            return super().change_view(request, object_id, *args, **kwargs)
        return move_page.page(request, queries.move(move.pk, viewer=user_of(request)), self.admin_site)

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

    @admin.display(ordering="initiated_at")
    def initiated(self, move: AppMigration) -> str:
        return time_column(move.initiated_at)

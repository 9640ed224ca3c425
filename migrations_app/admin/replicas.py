from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from migrations_app import approvals
from migrations_app.admin.buttons import buttons_of
from migrations_app.admin.display import badge, link, log_of, size, time_column
from migrations_app.admin.sight import InSight, LookOnly, TeamFilter, user_of
from migrations_app.admin.standing import notes_on
from migrations_app.admin.trail import WithTrail
from migrations_app.models import SourceReplica
from migrations_app.states import Act


@admin.register(SourceReplica)
class SourceReplicaAdmin(WithTrail, InSight, LookOnly):
    list_display = ["app", "region", "state_shown", "size_shown", "cost", "created", "ended"]
    list_filter = ["state", "region", ("app__owner", TeamFilter)]
    list_select_related = ["app", "region"]
    search_fields = ["app__slug", "migration__id"]
    search_help_text = "App, or id of the move that left it."
    date_hierarchy = "created_at"

    def get_fields(self, request: HttpRequest, obj: SourceReplica | None = None) -> Any:
        rows = [("app_page", "region"), ("move_page", "state_shown"), ("size_shown", "cost"), ("created", "ended")]
        return [*rows, "last_error"] if obj and obj.last_error else rows

    def trail_of(self, obj: SourceReplica) -> dict[str, Any]:
        return {"migration__id__exact": obj.migration_id}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        replica = context["original"]
        context["buttons"] = buttons_of(replica.migration, user_of(request), only=[Act.REVERSE, Act.TEARDOWN])
        context["notes"] = notes_on(replica.migration, approvals.open_of(replica.migration))
        context["log"] = log_of(replica.acts)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="app")
    def app_page(self, replica: SourceReplica) -> str:
        return link(replica.app)

    @admin.display(description="left by the move")
    def move_page(self, replica: SourceReplica) -> str:
        return link(replica.migration)

    @admin.display(description="state", ordering="state")
    def state_shown(self, replica: SourceReplica) -> str:
        return badge(replica.state)

    @admin.display(description="size", ordering="size_bytes")
    def size_shown(self, replica: SourceReplica) -> str:
        return size(replica.size_bytes)

    @admin.display(description="a month, about")
    def cost(self, replica: SourceReplica) -> str:
        return f"${replica.estimated_monthly_cost_usd}"

    @admin.display(description="left behind", ordering="created_at")
    def created(self, replica: SourceReplica) -> str:
        return time_column(replica.created_at)

    @admin.display(ordering="ended_at")
    def ended(self, replica: SourceReplica) -> str:
        return time_column(replica.ended_at)

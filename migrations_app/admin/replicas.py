from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from migrations_app import queries
from migrations_app.admin.listing import Empty, Exported, titled
from migrations_app.admin.searching import Searched
from migrations_app.admin.sight import InSight, LookOnly, RegionFilter, TeamFilter, regions_of
from migrations_app.admin.trail import WithTrail
from migrations_app.dashboard.display import NOTHING, list_of, markup, span, time_column, unbroken
from migrations_app.dashboard.replica_page import about
from migrations_app.dashboard.viewer import user_of
from migrations_app.dashboard.way_back import badge_of_replica
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import REPLICA_OPEN, ReplicaState
from migrations_app.units import size

_LEFT = ("created_at", titled("left behind", admin.DateFieldListFilter))


@admin.register(SourceReplica)
class SourceReplicaAdmin(Searched, WithTrail, Exported, InSight, LookOnly):
    list_title = "Replicas"
    list_display = ["app", "region", "state_shown", "trouble", "lag", "retained", "size_and_cost", "created", "review"]
    list_filter = ["state", ("region", RegionFilter), ("app__owner", TeamFilter), _LEFT]
    list_select_related = ["app"]
    fieldsets = [(None, {"fields": ()})]  # the page is dashboard/replica_page.py's
    search_fields = ["app__slug", "migration__id"]
    search_help_text = "App, or id of the move that left it."
    id_searched = "migration"
    app_searched = "app"
    list_defer = ["history", "acts"]
    list_only = [
        *("app__slug", "region", "state", "problem", "lag_bytes", "lag_seconds", "retained_bytes", "wal_status"),
        *("size_bytes", "created_at", "review_at"),
    ]
    file_prefetch = ["app__owner", "region"]
    csv_columns = {
        "move": lambda replica: replica.migration_id,
        "app": lambda replica: replica.app,
        "team": lambda replica: replica.app.owner,
        "region": lambda replica: replica.region,
        "state": lambda replica: replica.state,
        "problem": lambda replica: replica.problem,
        "lag_bytes": lambda replica: replica.lag_bytes,
        "lag_seconds": lambda replica: replica.lag_seconds,
        "retained_bytes": lambda replica: replica.retained_bytes,
        "wal_status": lambda replica: replica.wal_status,
        "watched_at": lambda replica: replica.watched_at,
        "size_bytes": lambda replica: replica.size_bytes,
        "estimated_monthly_cost_usd": lambda replica: replica.estimated_monthly_cost_usd,
        "created_at": lambda replica: replica.created_at,
        "review_at": lambda replica: replica.review_at,
        "ended_at": lambda replica: replica.ended_at,
    }

    def empty(self, request: HttpRequest) -> Empty:
        return Empty("No replica is retained. A completed move leaves one.", "Moves", list_of(AppMigration))

    def complete(self, request: HttpRequest, rows: list[SourceReplica]) -> None:
        regions = {region.pk: region for region in regions_of(request)}
        for replica in rows:
            replica.region = regions[replica.region_id]

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> SourceReplica | None:
        """With its move, and all that the page asks of that, read at once."""
        replica: SourceReplica | None = super().get_object(request, object_id, from_field)
        if replica is not None:
            replica.migration = move = queries.move(replica.migration_id, viewer=user_of(request))
            replica.app, replica.region = move.app, move.source_region
        return replica

    def trail_of(self, obj: SourceReplica) -> dict[str, Any]:
        return {"migration__id__exact": obj.migration_id}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        replica = context["original"]
        context |= {"title": f"{replica.app}: replica in {replica.region}", "subtitle": None}
        context |= about(request, replica)
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description="state", ordering="state")
    def state_shown(self, replica: SourceReplica) -> str:
        return badge_of_replica(replica)

    @admin.display(description="size, cost", ordering="size_bytes")
    def size_and_cost(self, replica: SourceReplica) -> str:
        if replica.state not in REPLICA_OPEN:
            return size(replica.size_bytes)
        return unbroken(f"{size(replica.size_bytes)},", f"${replica.estimated_monthly_cost_usd} a month")

    @admin.display(description="problem", ordering="problem")
    def trouble(self, replica: SourceReplica) -> str:
        return markup('<span class="trouble">{}</span>', replica.problem) if replica.is_troubled else NOTHING

    @admin.display(description="behind", ordering="lag_bytes")
    def lag(self, replica: SourceReplica) -> str:
        if replica.state != ReplicaState.RETAINED or replica.lag_bytes is None:
            return NOTHING
        late = "" if replica.lag_seconds is None else span(replica.lag_seconds)
        return unbroken(f"{size(replica.lag_bytes)},", late) if late else size(replica.lag_bytes)

    @admin.display(description="WAL kept for it", ordering="retained_bytes")
    def retained(self, replica: SourceReplica) -> str:
        if replica.state != ReplicaState.RETAINED or not replica.wal_status:
            return NOTHING
        if replica.retained_bytes is None:
            return f"none: slot {replica.wal_status}"
        return unbroken(size(replica.retained_bytes), f"({replica.wal_status})")

    @admin.display(description="left behind", ordering="created_at")
    def created(self, replica: SourceReplica) -> str:
        return time_column(replica.created_at)

    @admin.display(description="look at it", ordering="review_at")
    def review(self, replica: SourceReplica) -> str:
        return time_column(replica.review_at) if replica.state == ReplicaState.RETAINED else NOTHING

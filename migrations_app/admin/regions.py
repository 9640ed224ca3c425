from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.widgets import AdminTextareaWidget
from django.db.models import TextField
from django.http import HttpRequest
from django.urls import reverse

from migrations_app import spreadsheet
from migrations_app.admin.listing import Empty, Exported, titled
from migrations_app.admin.reading import ReadFirst
from migrations_app.admin.recording import Recorded
from migrations_app.admin.sight import NeverDeleted
from migrations_app.admin.trail import WithTrail
from migrations_app.dashboard.display import markup, unbroken
from migrations_app.dashboard.region_page import about
from migrations_app.dashboard.regions_now import RegionNow, regions_now
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import Region

_FIELDS: dict[str | None, list[Any]] = {
    None: ["slug", "name", "accepts_moves", "concurrent_moves"],
    "Maintenance window": ["time_zone", "window_day", "window_opens", "window_minutes"],
    "Its parts": ["database", "conn_from_regions", "blobs", "runtime_url", "runtime_path", "app_host"],
    "Cost": ["cost_per_gb_month_usd"],
}


@admin.register(Region)
class RegionAdmin(ReadFirst, WithTrail, Recorded, Exported, NeverDeleted):
    list_display = [
        "slug",
        "name",
        "is_open",
        "apps_there",
        "moves_now",
        "replicas_there",
        "workers_alive",
        "health",
        "moves_begin",
    ]
    list_filter = [("accepts_moves", titled("open for moves", admin.BooleanFieldListFilter))]
    search_fields = ["slug", "name"]
    search_help_text = "Its slug or name."
    formfield_overrides = {TextField: {"widget": AdminTextareaWidget(attrs={"rows": 2})}}
    fieldsets = [(title, {"fields": fields}) for title, fields in _FIELDS.items()]
    values_recorded = [name for fields in _FIELDS.values() for name in fields]
    csv_columns = {
        "region": lambda now: now.region.slug,
        "name": lambda now: now.region.name,
        "accepts_moves": lambda now: now.region.accepts_moves,
        "moves_begin": lambda now: now.region.window,
        "apps": lambda now: now.apps,
        "moves_under_way": lambda now: now.moves,
        "concurrent_moves": lambda now: now.region.concurrent_moves,
        "replicas": lambda now: now.replicas,
        "replica_bytes": lambda now: now.replica_bytes,
        "replicas_monthly_cost_usd": lambda now: now.monthly_cost_usd,
        "cost_per_gb_month_usd": lambda now: now.region.cost_per_gb_month_usd,
        "workers": lambda now: now.workers,
        "alarms": lambda now: None if now.alarms is None else len(now.alarms),
    }

    def empty(self, request: HttpRequest) -> Empty:
        if self.has_add_permission(request):
            return Empty("There is no region yet.", "Add one", reverse("admin:migrations_app_region_add"))
        return Empty("There is no region yet. An admin adds them.")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        """Each row knows what goes on there now, as far as whoever looks sees it."""
        changelist = super().get_changelist_instance(request)
        for now in regions_now(changelist.result_list, user_of(request)):
            now.region.now = now  # type: ignore[attr-defined]
        return changelist

    def lines(self, request: HttpRequest, kind: str, rows: Any) -> Iterable[str]:
        cells = ([column(now) for column in self.csv_columns.values()] for now in regions_now(rows, user_of(request)))
        return spreadsheet.csv_lines(self.csv_columns, cells)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """By its own fields only: filtered by an app or a move, the list would tell where another team's lives."""
        is_own = lookup.partition("__")[0] in {field.name for field in Region._meta.fields}
        return is_own and super().lookup_allowed(lookup, value, request)

    def get_readonly_fields(self, request: HttpRequest, obj: Region | None = None) -> list[str]:
        return ["slug"] if obj else []

    def trail_of(self, obj: Any) -> dict[str, Any]:
        return {"target": f"region {obj}"}

    def about(self, request: HttpRequest, obj: Region) -> dict[str, Any]:
        name = f"{obj.slug}: {obj.name}" if obj.name else obj.slug
        return {"title": name, "subtitle": None, **about(obj, user_of(request))}

    # -- columns ----------------------------------------------------------------------------------------------------

    @admin.display(description="for moves", ordering="accepts_moves")
    def is_open(self, region: Any) -> str:
        return _now(region).open_badge

    @admin.display(description="apps")
    def apps_there(self, region: Any) -> int:
        return _now(region).apps

    @admin.display(description="moves under way", ordering="concurrent_moves")
    def moves_now(self, region: Any) -> str:
        return unbroken(_now(region).moves_in_words)

    @admin.display(description="replicas")
    def replicas_there(self, region: Any) -> str:
        return _now(region).replicas_in_words

    @admin.display(description="workers")
    def workers_alive(self, region: Any) -> str:
        return _now(region).workers_badge

    @admin.display
    def health(self, region: Any) -> str:
        now = _now(region)
        return markup('<a href="{}">{}</a>', now.alarms_url, now.health_badge) if now.alarms else now.health_badge

    @admin.display(description="moves begin")
    def moves_begin(self, region: Region) -> str:
        return str(region.window or "at any time")


def _now(region: Any) -> RegionNow:
    now: RegionNow = region.now
    return now

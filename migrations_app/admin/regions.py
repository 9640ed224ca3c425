from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from migrations_app.admin.recording import Recorded
from migrations_app.admin.sight import NeverDeleted
from migrations_app.admin.trail import WithTrail
from migrations_app.models import Region

_FIELDS: dict[str | None, list[Any]] = {
    None: ["slug", "name", "accepts_moves", "concurrent_moves"],
    "Maintenance window": ["time_zone", "window_day", "window_opens", "window_minutes"],
    "Its parts": ["database", "conn_from_regions", "blobs", "runtime_url", "runtime_path", "app_host"],
    "Cost": ["cost_per_gb_month_usd"],
}


@admin.register(Region)
class RegionAdmin(WithTrail, Recorded, NeverDeleted):
    list_display = ["slug", "name", "accepts_moves", "moves_begin", "concurrent_moves", "cost_per_gb_month_usd"]
    list_filter = ["accepts_moves"]
    search_fields = ["slug", "name"]
    fieldsets = [(title, {"fields": fields}) for title, fields in _FIELDS.items()]
    values_recorded = [name for fields in _FIELDS.values() for name in fields]

    @admin.display(description="moves begin")
    def moves_begin(self, region: Region) -> str:
        return str(region.window or "at any time")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """By its own fields only: filtered by an app or a move, the list would tell where another team's lives."""
        return lookup.partition("__")[0] in {field.name for field in Region._meta.fields}

    def get_readonly_fields(self, request: HttpRequest, obj: Region | None = None) -> list[str]:
        return ["slug"] if obj else []

    def trail_of(self, obj: Any) -> dict[str, Any]:
        return {"target": f"region {obj}"}

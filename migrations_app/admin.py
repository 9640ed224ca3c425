"""The admin: regions and apps can be edited, everything with a history can only be looked at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from migrations_app.models import App, AppMigration, AuditEvent, Region, SourceReplica, StepRun


class _LookOnly:
    """Nothing is added, changed or deleted here; moves change by actions alone."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class _NeverDeleted:
    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Region)
class RegionAdmin(_NeverDeleted, admin.ModelAdmin):
    list_display = ["slug", "name", "accepts_moves", "concurrent_moves", "cost_per_gb_month_usd"]
    list_filter = ["accepts_moves"]
    search_fields = ["slug", "name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Region | None = None) -> list[str]:
        return ["slug"] if obj else []


@admin.register(App)
class AppAdmin(_NeverDeleted, admin.ModelAdmin):
    list_display = ["slug", "region", "owner", "hostname", "database"]
    list_filter = ["region", "owner"]
    list_select_related = ["region", "owner"]
    search_fields = ["slug", "hostname"]

    def get_readonly_fields(self, request: HttpRequest, obj: App | None = None) -> list[str]:
        return ["slug", "region", "database"] if obj else []


class StepRunInline(_LookOnly, admin.TabularInline):
    model = StepRun
    fields = ["step", "direction", "attempt", "status", "started_at", "ended_at", "reason"]
    extra = 0


@admin.register(AppMigration)
class AppMigrationAdmin(_LookOnly, admin.ModelAdmin):
    list_display = ["app", "kind", "source_region", "dest_region", "status", "current_step", "initiated_at"]
    list_filter = ["status", "kind", "source_region", "dest_region"]
    list_select_related = ["app", "source_region", "dest_region"]
    search_fields = ["id", "app__slug", "reason"]
    date_hierarchy = "initiated_at"
    inlines = [StepRunInline]


@admin.register(SourceReplica)
class SourceReplicaAdmin(_LookOnly, admin.ModelAdmin):
    list_display = ["app", "region", "state", "size_bytes", "estimated_monthly_cost_usd", "created_at"]
    list_filter = ["state", "region"]
    list_select_related = ["app", "region"]
    search_fields = ["app__slug"]


@admin.register(AuditEvent)
class AuditEventAdmin(_LookOnly, admin.ModelAdmin):
    list_display = ["at", "verb", "app", "migration", "actor", "from_status", "to_status", "reason"]
    list_filter = ["verb"]
    list_select_related = ["app", "migration__app", "migration__source_region", "migration__dest_region", "actor"]
    search_fields = ["app__slug", "reason"]
    date_hierarchy = "at"

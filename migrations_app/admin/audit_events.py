from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html

from migrations_app import audit, permissions
from migrations_app.admin.sight import InSight, LookOnly
from migrations_app.dashboard.confirming import as_http
from migrations_app.dashboard.display import NOTHING, time_column
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import AuditEvent
from migrations_app.permissions import Verb

_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/jsonl"}


@admin.register(AuditEvent)
class AuditEventAdmin(InSight, LookOnly):
    list_display = ["when", "who", "verb", "about", "change", "reason"]
    list_filter = ["verb", "surface"]
    search_fields = ["app__slug", "actor_name", "reason", "target", "migration__id"]
    search_help_text = "App, person, reason, what was edited, or id of a move."
    date_hierarchy = "at"
    fieldsets = [
        (None, {"fields": ["when", "who", "verb", "about", "change", "reason"]}),
        ("Where from", {"fields": ["surface", "address"]}),
        ("Proof", {"fields": ["chain", "number", "previous_hash", "hash"]}),
    ]

    def get_urls(self) -> list[URLPattern]:
        export = path(
            "export/<str:kind>/", self.admin_site.admin_view(self.export), name="migrations_app_auditevent_export"
        )
        return [export, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        exports = {}
        if permissions.can(user_of(request), Verb.EXPORT_AUDIT):
            query = f"?{request.GET.urlencode()}" if request.GET else ""
            exports = {
                word: reverse("admin:migrations_app_auditevent_export", args=[kind]) + query
                for kind, word in (("csv", "Export as CSV"), ("jsonl", "Export as JSON lines"))
            }
        return super().changelist_view(request, {**(extra_context or {}), "exports": exports})

    @as_http()
    def export(self, request: HttpRequest, kind: str) -> StreamingHttpResponse:
        """What the list shows under the same filters, all pages of it, the oldest first."""
        permissions.require(user_of(request), Verb.EXPORT_AUDIT)
        if kind not in audit.FORMATS:
            raise BadRequest(f"There is no format {kind}.")
        try:
            events = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters as error:
            raise BadRequest("These are no filters of the list.") from error
        name = f"audit-{timezone.localdate():%Y-%m-%d}.{kind}"
        return StreamingHttpResponse(
            audit.FORMATS[kind](events),
            content_type=_TYPES[kind],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    @admin.display(description="at", ordering="id")
    def when(self, event: AuditEvent) -> str:
        return time_column(event.at)

    @admin.display(ordering="actor_name")
    def who(self, event: AuditEvent) -> str:
        return event.actor_name or "the portal"

    @admin.display(description="about", ordering="target")
    def about(self, event: AuditEvent) -> str:
        if event.migration_id is None:
            return event.target or NOTHING
        page = reverse("admin:migrations_app_appmigration_change", args=[event.migration_id])
        return format_html('<a href="{}">{}</a>', page, event.target)

    @admin.display(description="from → to")
    def change(self, event: AuditEvent) -> str:
        if event.from_status:
            return f"{event.from_status} → {event.to_status}"
        return event.to_status or NOTHING

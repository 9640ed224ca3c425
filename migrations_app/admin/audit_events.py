from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from migrations_app import audit, permissions
from migrations_app.admin.listing import Empty, Exported
from migrations_app.admin.searching import Searched, WordFilter
from migrations_app.admin.sight import InSight, LookedAt
from migrations_app.dashboard.display import NOTHING, list_of, markup, page_at, time_column, unbroken
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import App, AppMigration, AuditEvent
from migrations_app.models.words import Words
from migrations_app.permissions import Verb


@admin.register(AuditEvent)
class AuditEventAdmin(Searched, Exported, InSight, LookedAt):
    list_title = "Audit trail"
    list_display = ["when", "who", "verb", "about", "change", "reason"]
    list_filter = [("verb", WordFilter), ("surface", WordFilter), "at"]
    search_fields = ["target", "actor_name", "reason", "migration__id"]
    search_help_text = "Words of app, person, reason or what was edited; or id of a move."
    id_searched = "migration"
    words_searched = Words("target", "actor_name", "reason")
    formats = {"csv": "Export as CSV", "jsonl": "Export as JSON lines"}
    content_types = {**Exported.content_types, "jsonl": "application/jsonl"}
    file_name = "audit"
    fieldsets = [
        (None, {"fields": ["when", "who", "verb", "about", "change", "reason"]}),
        ("Where from", {"fields": ["surface", "address"]}),
        ("Proof", {"fields": ["chain", "number", "previous_hash", "hash"]}),
    ]

    def may_export(self, request: HttpRequest) -> bool:
        return permissions.can(user_of(request), Verb.EXPORT_AUDIT)

    def lines(self, request: HttpRequest, kind: str, rows: QuerySet[AuditEvent]) -> Iterable[str]:
        """The oldest first, as their hashes follow from each other."""
        return audit.FORMATS[kind](rows)

    def empty(self, request: HttpRequest) -> Empty:
        return Empty("Nothing has happened yet to an app that you see.", "Apps", list_of(App))

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
        page = page_at(AppMigration, event.migration_id)
        return markup('<a href="{}" class="unbroken">{}</a>', page, event.target)

    @admin.display(description="from → to")
    def change(self, event: AuditEvent) -> str:
        if event.from_status:
            return unbroken(f"{event.from_status} →", event.to_status)
        return event.to_status or NOTHING

"""The way from a thing to what the audit trail says about it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse

from migrations_app.dashboard.display import list_of
from migrations_app.models import AuditEvent


class WithTrail(admin.ModelAdmin):
    """Its page links to its part of the audit trail, in place of Django's own history of edits."""

    def trail_of(self, obj: Any) -> dict[str, Any]:
        """The filters of the list of events that find those about it."""
        raise NotImplementedError

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        obj = context.get("original")
        if obj is not None and request.user.has_perm("migrations_app.view_auditevent"):
            context["trail_url"] = list_of(AuditEvent, **self.trail_of(obj))
        return super().render_change_form(request, context, *args, **kwargs)

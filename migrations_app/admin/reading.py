"""Pages that are read far more often than changed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse


class ReadFirst(admin.ModelAdmin):
    """What is on the books is text; its form is one press further, at `?edit`. So nothing is changed by a slip, and
    nobody who only looks waits for the fields of a form. about() goes before the text."""

    def about(self, request: HttpRequest, obj: Any) -> dict[str, Any]:
        """What the page's template tells besides."""
        raise NotImplementedError

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or _is_editing(request))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if obj := context.get("original"):
            editing = _is_editing(request)
            context |= {"editing": editing, "may_edit": super().has_change_permission(request, obj)}
            context |= {"title": f"Edit {obj}", "subtitle": None} if editing else self.about(request, obj)
        return super().render_change_form(request, context, *args, **kwargs)


def _is_editing(request: HttpRequest) -> bool:
    return request.method == "POST" or "edit" in request.GET

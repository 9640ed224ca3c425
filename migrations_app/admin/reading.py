"""Pages that are read far more often than changed."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import AdminForm
from django.forms import Media
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from migrations_app.dashboard.display import joined, markup


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
            if editing:
                context |= {"title": f"Edit {obj}", "subtitle": None}
            else:
                context |= {
                    "media": Media(),
                    "on_the_books": _written(context["adminform"]),
                    **self.about(request, obj),
                }
        return super().render_change_form(request, context, *args, **kwargs)


def _written(fieldsets: AdminForm) -> SafeString:
    """What Django's template writes of fields that are only read, without asking of each how it would be edited."""
    return joined([_fieldset(fieldset) for fieldset in fieldsets])


def _fieldset(fieldset: Any) -> str:
    heading = markup('<h2 class="fieldset-heading">{}</h2>', fieldset.name) if fieldset.name else ""
    rows = [_row(field) for line in fieldset for field in line]
    return f'<fieldset class="module aligned">{heading}{"".join(rows)}</fieldset>'


def _row(field: Any) -> str:
    shown = markup('<label>{}:</label><div class="readonly">{}</div>', capfirst(field.field["label"]), field.contents())
    explained = field.field["help_text"]
    note = markup('<div class="help"><div>{}</div></div>', explained) if explained else ""
    return f'<div class="form-row"><div><div class="flex-container">{shown}</div>{note}</div></div>'


def _is_editing(request: HttpRequest) -> bool:
    return request.method == "POST" or "edit" in request.GET

"""What is edited by hand, on the audit trail: which fields, by whom, in the transaction of the edit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.db.models import Model, QuerySet
from django.forms import BaseForm, ModelChoiceField, ModelMultipleChoiceField
from django.http import HttpRequest

from migrations_app import actions
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import App


class Recorded(admin.ModelAdmin):
    """Every edit is one event. Of the fields in `values_recorded` it tells old and new values, of others the name."""

    values_recorded: Iterable[str] = ()

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """What was changed, in words, for log_addition and log_change."""
        return "; ".join(_change(form, name, with_values=name in self.values_recorded) for name in form.changed_data)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        self._record(request, "add", obj, message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        if message:
            self._record(request, "edit", obj, message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        for obj in queryset:
            self._record(request, "delete", obj, "")
        return super().log_deletions(request, queryset)

    def _record(self, request: HttpRequest, verb: str, obj: Model, changes: str) -> None:
        actions.note_edit(
            verb=verb,
            target=f"{self.opts.verbose_name} {obj}",
            changes=changes,
            acting_user=user_of(request),
            app=obj if isinstance(obj, App) else None,
        )


def _change(form: BaseForm, name: str, *, with_values: bool) -> str:
    field = form.fields.get(name)
    before, after = form.initial.get(name), form.cleaned_data.get(name)
    if isinstance(field, ModelMultipleChoiceField):
        old, new = {str(thing) for thing in before or []}, {str(thing) for thing in after or []}
        changed = [("added", new - old), ("removed", old - new)]
        return f"{name}: " + ", ".join(f"{word} {', '.join(sorted(names))}" for word, names in changed if names)
    if not with_values:
        return name
    if isinstance(field, ModelChoiceField) and before:
        before = field.queryset.model._default_manager.filter(pk=before).first() if field.queryset is not None else None
    return f"{name}: {_word(before)} → {_word(after)}"


def _word(value: object) -> str:
    return "nothing" if value in (None, "") else str(value)

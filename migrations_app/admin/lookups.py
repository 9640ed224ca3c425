"""What a list can be filtered by in its address."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest

_PLAIN = {"exact", "in", "isnull", "gte", "lt"}
"""What the filters of the lists need, and the links to them."""


class PlainLookups(admin.ModelAdmin):
    """By values, and never by a pattern: a wrong one would be the database's error, and a costly one its work."""

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        return _is_plain(lookup, self.model) and super().lookup_allowed(lookup, value, request)


def _is_plain(lookup: str, model: type[Model]) -> bool:
    """Whether it is a path of fields, compared at most in a plain way. A single word may name a filter as well."""
    words = lookup.split(LOOKUP_SEP)
    rest, at = words, model
    while rest and at:
        try:
            field = at._meta.get_field(rest[0])
        except FieldDoesNotExist:
            break
        rest, at = rest[1:], field.related_model  # type: ignore[assignment]
    return len(words) == 1 or not rest or (len(rest) == 1 and rest[0] in _PLAIN)

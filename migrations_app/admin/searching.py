"""Search and filters of lists that have a million rows: each is answered by an index."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db import connection
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from migrations_app.dashboard.shared import shared
from migrations_app.models import App
from migrations_app.models.words import Words, parts_of


class Searched(admin.ModelAdmin):
    """Finds a move by its whole id, rows of the apps whose name contains what is searched for, and rows that have words
    which begin like all of those that are searched for."""

    id_searched = "pk"
    """The field that holds the id of a move."""
    app_searched = ""
    """The field that holds the app; empty where the words name it."""
    words_searched: Words | None = None

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        wanted = search_term.strip()
        if not wanted:
            return queryset, False
        try:
            return queryset.filter(**{self.id_searched: UUID(wanted)}), False
        except ValueError:
            found = Q(pk__in=[])
        if self.app_searched:
            # As a list: so the database can go by the index of apps and by that of words at once.
            apps = list(App.objects.filter(slug__icontains=wanted).values_list("pk", flat=True))
            found |= Q(**{f"{self.app_searched}__in": apps})
        if self.words_searched and parts_of(wanted):
            found |= self.words_searched.have(wanted)
        return queryset.filter(found), False


class WordFilter(admin.AllValuesFieldListFilter):
    """The values that a column has, found by its index: from each value on to the next one."""

    def __init__(self, field: Any, request: HttpRequest, params: Any, model: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(field, request, params, model, *args, **kwargs)
        table, column = model._meta.db_table, field.column
        values: Iterable[str] = shared(f"values:{table}:{column}", lambda: values_of(table, column))
        self.lookup_choices = values  # type: ignore[assignment]


def values_of(table: str, column: str) -> Iterable[str]:
    """All that are not empty, in their order."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE found AS ((SELECT {column} AS value FROM {table} WHERE {column} > '' "  # noqa: S608
            f"ORDER BY {column} LIMIT 1) UNION ALL SELECT (SELECT {column} FROM {table} "
            f"WHERE {column} > found.value ORDER BY {column} LIMIT 1) FROM found WHERE found.value IS NOT NULL) "
            "SELECT value FROM found WHERE value IS NOT NULL"
        )
        return [value for (value,) in cursor.fetchall()]

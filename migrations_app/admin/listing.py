"""Lists: long ones that stay quick, empty ones that say so, and each as a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR, ChangeList
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from migrations_app import spreadsheet
from migrations_app.admin.drawing import Drawn, DrawnList

MOST_LISTED = 2_000
"""Of a longer list only these are counted and can be leafed through; as a file there are all."""


@dataclass(frozen=True)
class Empty:
    """What stands in place of a list without rows, and the one thing to do about it, if there is any."""

    sentence: str
    label: str = ""
    url: str = ""


class Bounded(Paginator):
    """Counts no further than MOST_LISTED: the database would read every row for a number that nobody reads."""

    @cached_property
    def count(self) -> int:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return rows.order_by().values("pk")[:MOST_LISTED].count()

    @property
    def counted(self) -> str:
        """How many rows there are, in words."""
        return f"{self.count} or more" if self.count >= MOST_LISTED else str(self.count)


class Peeking(Bounded):
    """Looks no further than one row beyond the page: what a search finds is found once, by its keys, where to count it
    and then to show a page of it would walk the index of words twice."""

    def __init__(self, rows: QuerySet[Any], per_page: int, *, wanted: int) -> None:
        super().__init__(rows, per_page)
        self._until = min(max(wanted, 1) * per_page, MOST_LISTED)

    @cached_property
    def keys(self) -> list[Any]:
        rows: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        return list(rows.values_list("pk", flat=True)[: self._until + 1])

    @cached_property
    def count(self) -> int:
        return len(self.keys)

    @property
    def counted(self) -> str:
        return f"more than {self._until}" if self.count > self._until else str(self.count)

    def page(self, number: int | str) -> Page[Any]:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        found: QuerySet[Any] = self.object_list  # type: ignore[assignment]
        rows = found.all()
        rows.query.clear_where()  # it would look into each row once more whether it has the words
        return Page(rows.filter(pk__in=self.keys[first : first + self.per_page]), number, self)


def titled(title: str, kind: type[admin.FieldListFilter]) -> type[admin.FieldListFilter]:
    """A filter under a name of its own, where the field's is not what people say."""

    class Titled(kind):  # type: ignore[valid-type,misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.title = title

    return Titled


class Lean(Drawn):
    """Reads of each row what the list shows."""

    model_admin: Listed
    result_list: Any

    def get_queryset(self, *args: Any, **kwargs: Any) -> QuerySet[Any]:
        rows = super().get_queryset(*args, **kwargs)
        return rows.defer(*self.model_admin.list_defer).prefetch_related(*self.model_admin.list_prefetch)

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        rows = self.paginator.page(self.page_num if self.multi_page else 1).object_list
        self.result_list = list(rows.only(*self.model_admin.list_only) if self.model_admin.list_only else rows)
        self.model_admin.complete(request, self.result_list)


class Listed(DrawnList):
    """The list's template is templates/admin/change_list.html."""

    list_per_page = 30
    list_max_show_all = 0
    paginator = Bounded
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    list_defer: Iterable[str] = ()
    """Fields that no list and no file shows: long ones."""
    list_only: Iterable[str] = ()
    """Fields that the list shows, where the file shows many more; empty: all but those."""
    list_prefetch: Iterable[str] = ()
    """What many rows share, such as people. Read once each; as joins they cost most of the planner's time."""

    @property
    def list_title(self) -> str:
        """What the list is called on the pages."""
        return str(self.opts.verbose_name_plural).capitalize()

    def complete(self, request: HttpRequest, rows: list[Any]) -> None:
        """Gives the rows of a page what it shows of them and the query has not read."""

    def empty(self, request: HttpRequest) -> Empty:
        """Of the list as it is before anything is filtered or searched for."""
        raise NotImplementedError

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Lean

    def get_paginator(
        self, request: HttpRequest, queryset: QuerySet[Any], per_page: int, *args: Any, **kwargs: Any
    ) -> Paginator[Any]:
        if not request.GET.get(SEARCH_VAR):
            return super().get_paginator(request, queryset, per_page, *args, **kwargs)
        wanted = request.GET.get(PAGE_VAR, "")
        return Peeking(queryset, per_page, wanted=int(wanted) if wanted.isdecimal() else 1)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        named = {"title": self.list_title, "list_title": self.list_title, **(extra_context or {})}
        response = super().changelist_view(request, named)
        context = getattr(response, "context_data", None)
        if context and "cl" in context:
            listed = context["cl"]
            chosen = bool(listed.query or listed.get_filters_params())
            none_chosen = Empty("None is like that.", "Show all that there are", request.path)
            context["empty"] = none_chosen if chosen else self.empty(request)
            context["is_cut"] = listed.result_count >= MOST_LISTED
        return response

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        return super().render_change_form(request, context | {"list_title": self.list_title}, *args, **kwargs)


class Exported(Listed):
    """The list as a file: what it shows under the same filters, in its order, all pages of it."""

    csv_columns: dict[str, Callable[[Any], object]] = {}
    """The file's header, and what stands below it for a row."""
    file_prefetch: Iterable[str] = ()
    """What many rows of the file share."""
    formats = {"csv": "Export as CSV"}
    """By the last word of the file's address: what its link says."""
    content_types = {"csv": "text/csv; charset=utf-8"}

    def for_file(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        """With what the file shows of a row, and the query of the list does not read."""
        return rows.prefetch_related(*self.file_prefetch)

    @property
    def file_name(self) -> str:
        """What the file is called, before the date."""
        return str(self.opts.verbose_name_plural).replace(" ", "-")

    def may_export(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def lines(self, request: HttpRequest, kind: str, rows: Any) -> Iterable[str]:
        columns = self.csv_columns.values()
        cells = ([column(row) for column in columns] for row in rows.iterator(chunk_size=2000))
        return spreadsheet.csv_lines(self.csv_columns, cells)

    def get_urls(self) -> list[URLPattern]:
        export = path("export/<str:kind>/", self.admin_site.admin_view(self.export), name=self._export_name)
        return [export, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None)
        if context and "cl" in context and self.may_export(request):
            query = context["cl"].get_query_string()
            context["exports"] = {
                word: reverse(f"admin:{self._export_name}", args=[kind]) + (query if query != "?" else "")
                for kind, word in self.formats.items()
            }
        return response

    def export(self, request: HttpRequest, kind: str) -> StreamingHttpResponse:
        if not self.may_export(request):
            raise PermissionDenied
        if kind not in self.formats:
            raise BadRequest(f"There is no format {kind}.")
        try:
            rows = self.for_file(self.get_changelist_instance(request).queryset)
        except IncorrectLookupParameters as error:
            raise BadRequest("These are no filters of the list.") from error
        name = f"{self.file_name}-{timezone.localdate():%Y-%m-%d}.{kind}"
        return StreamingHttpResponse(
            self.lines(request, kind, rows),
            content_type=self.content_types[kind],
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )

    @property
    def _export_name(self) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_export"

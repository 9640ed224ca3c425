"""The table and the filters of a list, written without templates: with Django's, which ask anew for each cell what is
the same for a column, they took half of a page's time. What they say is the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property, lru_cache, partial
from typing import Any
from urllib.parse import quote_plus

from django.contrib.admin.templatetags.admin_list import result_headers
from django.contrib.admin.utils import display_for_field, display_for_value
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from migrations_app.admin.lookups import PlainLookups
from migrations_app.dashboard.display import escaped, joined, page_of

_Shown = Callable[[Any], object]
"""What a column shows of a row: text, which is escaped, or markup."""


class Drawn(ChangeList):
    """What templates/admin/change_list.html shows. Rows are neither edited in the list nor chosen in it."""

    def url_for_result(self, result: Any) -> str:
        return page_of(result)

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        removed = tuple(remove or ())
        params = {name: value for name, value in self.filter_params.items() if not name.startswith(removed)}
        for name, value in (new_params or {}).items():
            if value is None:
                params.pop(name, None)
            else:
                params[name] = value
        return "?" + "&".join(
            f"{_quoted(name)}={_quoted(str(one))}"
            for name, value in sorted(params.items())
            for one in (value if isinstance(value, (list, tuple)) else [value])
        )

    @property
    def drawn_headers(self) -> SafeString:
        return joined([_header(header) for header in self._headers])

    @property
    def drawn_rows(self) -> SafeString:
        columns = zip(self.list_display, self._headers, strict=True)
        cells = [self._cell(name, header["text"]) for name, header in columns]
        rows = ("".join([cell(row) for cell in cells]) for row in self.result_list)
        return joined([f"<tr>{row}</tr>" for row in rows])

    @property
    def drawn_filters(self) -> SafeString:
        return joined([self._filter(spec) for spec in self.filter_specs])

    @cached_property
    def _headers(self) -> list[dict[str, Any]]:
        return list(result_headers(self))

    def _cell(self, name: Any, title: Any) -> Callable[[Any], str]:
        """What writes the column's cell of a row."""
        kind, shown = self._shown(name)
        start = f' class="field-{name}{kind}"'
        # What stands above the column, for where its cells stand below each other.
        label = f' data-label="{escaped(capfirst(title))}">'
        linked = self.list_display_links or ()
        if name not in linked:
            start += label
            return lambda row: f"<td{start}{escaped(shown(row))}</td>"
        tag = "th" if name == linked[0] else "td"
        start += ">" if tag == "th" else label
        # So that a form which was reached from a filtered list leads back to it.
        query = f"?{self.preserved_filters}" if self.preserved_filters else ""
        return lambda row: f'<{tag}{start}<a href="{page_of(row)}{query}">{escaped(shown(row))}</a></{tag}>'

    def _shown(self, name: Any) -> tuple[str, _Shown]:
        """The classes of the column's cells besides its own, and what stands in them."""
        empty = self.model_admin.get_empty_value_display()
        try:
            field: Any = self.lookup_opts.get_field(name)
        except FieldDoesNotExist:
            column = getattr(self.model_admin, name)
            if getattr(column, "boolean", False):
                return "", lambda row: _icon(column(row))
            return "", lambda row: _text(column(row), empty)
        if field.many_to_one:
            return " nowrap", lambda row: getattr(row, name) or empty
        if choices := dict(getattr(field, "flatchoices", ())):
            return "", lambda row: choices.get(getattr(row, name), empty)
        if isinstance(field, models.BooleanField):
            return "", lambda row: _icon(getattr(row, name))
        kind = " nowrap" if isinstance(field, models.DateField) else ""
        return kind, lambda row: display_for_field(getattr(row, name), field, empty)

    def _filter(self, spec: Any) -> str:
        title, items = escaped(capfirst(spec.title)), []
        for choice in spec.choices(self):
            name, address = escaped(choice["display"]), escaped(choice["query_string"])
            if choice["selected"]:
                title += f": <strong>{name}</strong>"
                items.append(f'<li class="selected"><a href="{address}" aria-current="true">{name}</a></li>')
            else:
                items.append(f'<li><a href="{address}">{name}</a></li>')
        return f'<details class="filter" name="filter"><summary>{title}</summary><ul>{"".join(items)}</ul></details>'


def _header(header: dict[str, Any]) -> str:
    text, sorting = escaped(capfirst(header["text"])), ""
    if not header["sortable"]:
        return f'<th scope="col"{header["class_attrib"]}><div class="text"><span>{text}</span></div></th>'
    remove, toggle, primary = (escaped(header[f"url_{way}"]) for way in ("remove", "toggle", "primary"))
    if header["sorted"]:
        order = "ascending" if header["ascending"] else "descending"
        sorting = (
            f'<div class="sortoptions"><a class="sortremove" href="{remove}" title="Remove from sorting"></a>'
            f'<a href="{toggle}" class="toggle {order}" title="Toggle sorting"></a></div>'
        )
    return (
        f'<th scope="col"{header["class_attrib"]}>{sorting}<div class="text"><a href="{primary}">{text}</a></div>'
        '<div class="clear"></div></th>'
    )


_quoted = lru_cache(maxsize=1000)(quote_plus)
_icon = cache(partial(display_for_value, empty_value_display="", boolean=True))


def _text(value: object, empty: str) -> object:
    if isinstance(value, str):
        return value if value.strip() else empty
    return display_for_value(value, empty)


class DrawnList(PlainLookups):
    """Whose list is drawn so."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Drawn

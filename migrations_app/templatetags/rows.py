"""Rows of which a page has dozens, written without a template for each: one takes ten times as long."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from django import template
from django.utils.safestring import SafeString, mark_safe

from migrations_app.dashboard.display import escaped, joined, page_at
from migrations_app.errors import Blocker
from migrations_app.models import AppMigration

register = template.Library()


@register.filter
def terms(listed: Iterable[tuple[str, object]]) -> SafeString:
    """Names and values, as the inside of a list of terms."""
    return joined(f"<dt>{escaped(name)}</dt><dd>{escaped(value)}</dd>" for name, value in listed)


@register.filter
def log_lines(lines: Iterable[dict[str, str]]) -> SafeString:
    """Lines of display.log_of(), each with an address."""
    return joined(
        f'<li id="{line["id"]}"><a class="time" href="#{line["id"]}">{line["at"]}</a> '
        f"<span>{escaped(line['text'])}</span></li>"
        for line in lines
    )


@register.filter
def events(trail: Iterable[dict[str, Any]]) -> SafeString:
    """Events of trail.trail()."""
    return joined(_event(event) for event in trail)


def _event(event: dict[str, Any]) -> str:
    surface = f"{escaped(event['surface'])}: " if event["surface"] else ""
    change = f' <span class="quiet">({escaped(event["change"])})</span>' if event["change"] else ""
    reason = f'<span class="trail-reason">{escaped(event["reason"])}</span>' if event["reason"] else ""
    return (
        f'<li id="{event["id"]}"{_COMMENT if event["is_comment"] else ""}><span class="time">{event["at"]}</span> '
        f'<strong>{escaped(event["who"])}</strong> <span class="quiet">{surface}</span>'
        f"{escaped(event['verb'])}{change}{reason}</li>"
    )


_COMMENT = ' class="comment-line"'


@register.filter
def reasons(blockers: Iterable[Blocker]) -> SafeString:
    """What forbids something and what to do about it, moves that are named by their id as links."""
    return mark_safe(" ".join([_with_links(f"{why.reason} {why.hint}".strip()) for why in blockers]))  # noqa: S308


def _with_links(text: str) -> str:
    return _ID.sub(lambda found: f'<a href="{page_at(AppMigration, found[0])}">{found[0][:8]}</a>', escaped(text))


_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")


@register.filter
def compared(found: Iterable[dict[str, Any]]) -> SafeString:
    """What a comparison found, as the inside of a table's body."""
    columns = ("kind", "name", "source", "dest")
    return joined(
        f"<tr>{''.join([f'<td>{escaped(finding[column])}</td>' for column in columns])}</tr>" for finding in found
    )

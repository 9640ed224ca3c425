"""Shapes of an SVG that say what they are, for charts and maps, which have dozens of them."""

from __future__ import annotations

from migrations_app.dashboard.display import escaped


def rect(classes: str, x: float, y: float, width: float, height: float, text: str) -> str:
    attributes = f'class="{classes}" x="{x}" y="{y}" width="{width}" height="{height}"'
    return f"<rect {attributes}><title>{escaped(text)}</title></rect>"


def path(classes: str, d: str, text: str) -> str:
    return f'<path class="{classes}" d="{d}"><title>{escaped(text)}</title></path>'


def leading(shapes: str, text: str, href: str | None) -> str:
    """The shapes as one link to what they are about, if there is a page of it."""
    return f'<a href="{escaped(href)}" aria-label="{escaped(text)}">{shapes}</a>' if href else shapes

"""How things are written on the admin's pages. All of it escaped."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache, lru_cache
from html import escape
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from migrations_app.models import AppMigration
from migrations_app.units import size as size
from migrations_app.units import span as span
from migrations_app.units import ticking as ticking

NOTHING = "–"

_LOOKS = {
    "awaiting_approval": ("?", "ask"),
    "open": ("?", "ask"),
    "queued": ("…", "quiet"),
    "waiting": ("…", "quiet"),
    "pending": ("·", "quiet"),
    "running": ("▶", "busy"),
    "aborting": ("↩", "ask"),
    "tearing_down": ("↩", "ask"),
    "held": ("!", "bad"),
    "failed": ("✗", "bad"),
    "fail": ("✗", "bad"),
    "differs": ("✗", "bad"),
    "rejected": ("✗", "bad"),
    "warn": ("!", "ask"),
    "interrupted": ("!", "ask"),
    "completed": ("✓", "good"),
    "done": ("✓", "good"),
    "pass": ("✓", "good"),
    "equal": ("✓", "good"),
    "approved": ("✓", "good"),
    "retained": ("✓", "good"),
    "undone": ("↩", "quiet"),
    "skipped": ("–", "quiet"),
}
"""The sign and the tone of a state."""
_QUIET_END = ("×", "quiet")


def tone_of(state: str) -> str:
    return _LOOKS.get(state, _QUIET_END)[1]


def sign_of(state: str) -> str:
    return _LOOKS.get(state, _QUIET_END)[0]


def escaped(shown: object) -> str:
    """As Django's conditional_escape(), which takes four times as long: a page has hundreds of them."""
    return shown if isinstance(shown, SafeString) else escape(str(shown))


def markup(form: str, *parts: object) -> SafeString:
    """As Django's format_html(), with what stands in place of each {} escaped()."""
    return mark_safe(form.format(*[escaped(part) for part in parts]))  # noqa: S308


def joined(parts: Iterable[str]) -> SafeString:
    """Markup of which every part is escaped already."""
    return mark_safe("".join(parts))  # noqa: S308


@lru_cache(maxsize=1000, typed=True)
def badge(state: str, word: str = "") -> SafeString:
    """A state by colour, sign and word."""
    sign, tone = _LOOKS.get(state, _QUIET_END)
    return markup(
        '<span class="state state-{}"><span aria-hidden="true">{}</span> {}</span>',
        tone,
        sign,
        word or state.replace("_", " "),
    )


def moment(at: datetime | None) -> str:
    """A time to the second, with its zone; a day in the current one."""
    if at is None:
        return NOTHING
    local = timezone.localtime(at)
    return f"{_written(local)} {local.tzname()}"


class Moments(dict[datetime, str]):
    """moment() of each time that is asked for, written once: what is drawn stands in a table as well."""

    def __missing__(self, at: datetime) -> str:
        self[at] = moment(at)
        return self[at]


def _written(at: datetime) -> str:
    """To the second. strftime() takes five times as long, and a page has a hundred times."""
    return at.isoformat(" ", "seconds")[:19]


def time_of_day(at: datetime) -> str:
    """With its date where that is not today's: a move that has been held since yesterday looks like one of now."""
    local = timezone.localtime(at)
    written = _written(local)
    return written[11:] if local.date() == timezone.localdate() else written


def clock(at: datetime | None, text: str = "", *, counts: str = "") -> str:
    """A time as an element, in the user's zone, with UTC on hover. `counts` is `since` or `until`: then `text` is how
    long it is from or to then, and the browser counts on."""
    if at is None:
        return NOTHING
    utc = _written(at.astimezone(UTC))
    iso = f"{utc[:10]}T{utc[11:]}Z"
    attribute = f' data-{counts}="{iso}"' if counts else ""
    shown = escaped(text or moment(at))
    return mark_safe(f'<time datetime="{iso}" title="{utc} UTC"{attribute}>{shown}</time>')  # noqa: S308


def ago(at: datetime | None) -> str:
    """How long ago a time is: the browser counts on."""
    return clock(at, ticking((timezone.now() - at).total_seconds()), counts="since") if at else NOTHING


def left(until: datetime | None) -> str:
    """How long it is to a time: the browser counts on."""
    return clock(until, ticking((until - timezone.now()).total_seconds()), counts="until") if until else NOTHING


def time_column(at: datetime | None) -> str:
    """A time in a list: date and time of day may stand on two lines."""
    if at is None:
        return NOTHING
    day, _, time = moment(at).partition(" ")
    return clock(at, mark_safe(f'<span class="unbroken">{day}</span> <span class="unbroken">{time}</span>'))  # noqa: S308


def route(move: AppMigration) -> str:
    return f"{move.source_region} → {move.dest_region}"


def route_column(move: AppMigration) -> str:
    """The route in a list: the regions may stand on two lines."""
    return _route_column(str(move.source_region), str(move.dest_region))


@lru_cache(maxsize=1000)
def _route_column(source: str, dest: str) -> SafeString:
    return unbroken(f"{source} →", dest)


def unbroken(*parts: str) -> SafeString:
    """Lines may be broken between the parts only."""
    return mark_safe(" ".join(f'<span class="unbroken">{escaped(part)}</span>' for part in parts))  # noqa: S308


def who(name: str | None) -> str:
    return name or "somebody at the portal's shell"


def page_of(thing: Model) -> str:
    """Address of its page in the admin."""
    return page_at(type(thing), thing.pk)


def page_at(model: type[Model], key: Any) -> str:
    """page_of(), by its key."""
    before, after = _around_key(model)
    return f"{before}{quote(key)}{after}"


@cache
def _around_key(model: type[Model]) -> tuple[str, str]:
    """What of the address of a page stands before the key and what behind it: a list has a hundred of them."""
    before, _, after = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=["."]).rpartition(
        "."
    )
    return before, after


def list_of(model: type[Model], **filters: Any) -> str:
    """Address of its list in the admin."""
    address = _address_of_list(model)
    return f"{address}?{urlencode(filters)}" if filters else address


@cache
def _address_of_list(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def link(thing: Model, text: str = "") -> SafeString:
    return markup('<a href="{}">{}</a>', page_of(thing), text or str(thing))


def web_link(url: str) -> str:
    return markup('<a href="{0}" rel="noreferrer">{0}</a>', url) if url else NOTHING


def log_of(acts: Iterable[dict[str, str]], name: str) -> list[dict[str, str]]:
    """The lines of a log, each with its time and an id to link to."""
    lines = []
    for number, act in enumerate(acts, start=1):
        at = datetime.fromisoformat(act["at"])
        time = clock(at, time_of_day(at))
        lines.append({"id": f"{name}-{number}", "at": time, "text": act["text"]})
    return lines

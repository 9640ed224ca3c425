"""What waits for approval, as the overview lists it for somebody."""

from __future__ import annotations

from typing import NamedTuple

from django.contrib.auth.models import User
from django.utils.safestring import SafeString, mark_safe

from migrations_app.dashboard.buttons import address_of
from migrations_app.dashboard.consent import asked_by
from migrations_app.dashboard.display import ago, escaped, left, page_of
from migrations_app.models import Approval
from migrations_app.permissions import Verb, can, sees
from migrations_app.states import STARTS

_LONGEST = 160
_MINE = ' class="mine"'


class Waiting(NamedTuple):
    """`is_mine`: to decide on; `is_own`: asked for by the same."""

    approval: Approval
    is_mine: bool
    is_own: bool


def in_turn(found: list[Approval], user: User) -> list[Waiting]:
    """What the user may decide on first; then what they asked for; then the rest."""
    rows, may_approve = [], can(user, Verb.APPROVE)
    for approval in found:
        is_own = approval.requested_by_id == user.pk
        rows.append(Waiting(approval, may_approve and not is_own and sees(user, approval.migration), is_own))
    return sorted(rows, key=lambda row: (not row.is_mine, not row.is_own))


def line(waiting: Waiting) -> SafeString:
    """Written without a template: the list is asked for every two seconds by all who look."""
    approval, is_mine, is_own = waiting
    move, reason = approval.migration, approval.reason
    what = move.kind if approval.act in STARTS else approval.act
    short = reason if len(reason) <= _LONGEST else f"{reason[: _LONGEST - 1]}…"
    aside = ""
    if is_mine:
        page = address_of(Verb.APPROVE, move)
        aside = f'<a class="to-the-end verb verb-small" data-acts href="{page}">Look and decide</a>'
    elif is_own:
        aside = '<span class="quiet to-the-end">you asked for it</span>'
    times = f"Asked {ago(approval.requested_at)} ago, to be decided within {left(approval.expires_at)}."
    return mark_safe(  # noqa: S308
        f'<li id="waiting-{approval.pk}" data-row{_MINE if is_mine else ""}><p class="line-head">'
        f'<a href="{page_of(move)}">{escaped(move)}</a> <span class="quiet">{what}</span> {aside}</p>'
        f'<p class="line-text">{escaped(asked_by(approval))}: {escaped(short)} <small>{times}</small></p></li>'
    )

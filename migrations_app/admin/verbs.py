"""What each verb's page asks for, and the action it calls with that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib.auth.models import User

from migrations_app import actions, approvals
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb

_NOTHING_SEEN = "nothing"
"""The fingerprint of an approver whose page did not show one: it is never that of what there is."""


class ReasonForm(forms.Form):
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField", "autofocus": True}),
        help_text="For those who look at this later. It is kept on the audit trail.",
    )


class OptionalReasonForm(ReasonForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False
        self.fields["reason"].label = "Reason (optional)"


class CommentForm(forms.Form):
    comment = forms.CharField(
        label="Comment (optional)", required=False, widget=forms.Textarea(attrs={"rows": 2, "class": "vLargeTextField"})
    )


class TeardownForm(ReasonForm):
    confirm = forms.CharField(
        label="Name of the app",
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField", "spellcheck": "false"}),
        help_text="Type it as it stands in the title, to show that you mean this one.",
    )


@dataclass(frozen=True)
class Deed:
    """`do` calls the action and answers with the move to look at afterwards; `done` says so."""

    form: type[forms.Form]
    do: Callable[[AppMigration, User, dict[str, str]], AppMigration]
    done: str


def _teardown(move: AppMigration, user: User, given: dict[str, str]) -> AppMigration:
    return actions.teardown(
        move_id=move.pk, acting_user=user, confirm=given["confirm"], reason=given["reason"]
    ).migration


def _approve(move: AppMigration, user: User, given: dict[str, str]) -> AppMigration:
    return actions.approve(
        move_id=move.pk, acting_user=user, seen=given["seen"] or _NOTHING_SEEN, comment=given["comment"]
    )


def _with_reason(action: Callable[..., AppMigration]) -> Callable[[AppMigration, User, dict[str, str]], AppMigration]:
    return lambda move, user, given: action(move_id=move.pk, acting_user=user, reason=given["reason"])


DEEDS: dict[Verb, Deed] = {
    Verb.APPROVE: Deed(CommentForm, _approve, "Approved."),
    Verb.REJECT: Deed(ReasonForm, _with_reason(actions.reject), "Rejected."),
    Verb.WITHDRAW: Deed(OptionalReasonForm, _with_reason(actions.withdraw), "Withdrawn."),
    Verb.ABORT: Deed(ReasonForm, _with_reason(actions.abort), "The abort is under way."),
    Verb.RETRY: Deed(ReasonForm, _with_reason(actions.retry), "The move goes on."),
    Verb.REVERSE: Deed(ReasonForm, _with_reason(actions.reverse), "The reverse is requested."),
    Verb.TEARDOWN: Deed(TeardownForm, _teardown, "The replica is being torn down."),
}


def what_happened(verb: Verb, move: AppMigration) -> str:
    """For the page after the deed."""
    waiting = approvals.open_of(move)
    if waiting and waiting.act == (move.kind if verb in (Verb.REVERSE, Verb.REQUEST) else verb):
        return f"Asked for. Nothing happens until somebody else approves the {waiting.act}."
    return DEEDS[verb].done if verb in DEEDS else "Requested. It begins as soon as nothing stands in the way."

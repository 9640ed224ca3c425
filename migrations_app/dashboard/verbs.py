"""What each verb's page asks for, and the action it calls with that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User

from migrations_app import actions, approvals
from migrations_app.clock import beginning_of, database_now
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb
from migrations_app.rules import LONGEST_KEEP
from migrations_app.states import Act, Status, start_of

_NOTHING_SEEN = "nothing"
"""The fingerprint of an approver whose page did not show one: it is never that of what there is."""


class ReasonForm(forms.Form):
    reason = forms.CharField(
        error_messages={"required": "Say why, for those who look at this later."},
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField", "autofocus": True}),
        help_text="For those who look at this later. It is kept on the audit trail.",
    )


class OptionalReasonForm(ReasonForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["reason"].required = False
        self.fields["reason"].label = "Reason (optional)"


class CommentForm(forms.Form):
    """Of the approval page, whose two buttons are the `decision`."""

    comment = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="Needed to reject. It is kept on the audit trail.",
    )

    def clean_comment(self) -> str:
        comment = str(self.cleaned_data["comment"])
        if self.data.get("decision") == Verb.REJECT and not comment:
            raise forms.ValidationError("Say why you reject it: who asked will want to know.", code="reason_missing")
        return comment


class KeepForm(OptionalReasonForm):
    until = forms.DateField(
        label="Keep until",
        widget=forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"}),
        help_text="From then on (0:00 UTC) an alarm asks whether it is still needed. At most a year ahead.",
    )
    field_order = ["until", "reason"]


@dataclass(frozen=True)
class Deed:
    """`do` calls the action with what the form was given, and what the page adds: `seen`, `decision` and, where one has
    to log in again, `confirm`. It answers with the move to look at afterwards; `initial` is what the form begins
    with."""

    form: type[forms.Form]
    do: Callable[[AppMigration, User, dict[str, Any]], AppMigration]
    initial: Callable[[AppMigration], dict[str, Any]] = lambda move: {}


def _teardown(move: AppMigration, user: User, given: dict[str, str]) -> AppMigration:
    return actions.teardown(
        move_id=move.pk, acting_user=user, confirm=given["confirm"], reason=given["reason"]
    ).migration


def _keep(move: AppMigration, user: User, given: dict[str, Any]) -> AppMigration:
    until = beginning_of(given["until"])
    return actions.keep(move_id=move.pk, acting_user=user, until=until, reason=given["reason"]).migration


def _longer(move: AppMigration) -> dict[str, Any]:
    """What the page of a replica begins with: as long again as one is kept at first."""
    replica, now = getattr(move, "source_replica", None), database_now()
    later = max(now, replica.review_at if replica else now) + timedelta(days=settings.MOVES_REPLICA_REVIEW_DAYS)
    return {"until": min(later, now + LONGEST_KEEP).date()}


def _decide(move: AppMigration, user: User, given: dict[str, str]) -> AppMigration:
    if given["decision"] == Verb.REJECT:
        return actions.reject(move_id=move.pk, acting_user=user, reason=given["comment"])
    return actions.approve(
        move_id=move.pk, acting_user=user, seen=given["seen"] or _NOTHING_SEEN, comment=given["comment"]
    )


def _with_reason(action: Callable[..., AppMigration]) -> Callable[[AppMigration, User, dict[str, str]], AppMigration]:
    return lambda move, user, given: action(move_id=move.pk, acting_user=user, reason=given["reason"])


DEEDS: dict[Verb, Deed] = {
    Verb.APPROVE: Deed(CommentForm, _decide),
    Verb.REJECT: Deed(ReasonForm, _with_reason(actions.reject)),
    Verb.WITHDRAW: Deed(OptionalReasonForm, _with_reason(actions.withdraw)),
    Verb.ABORT: Deed(ReasonForm, _with_reason(actions.abort)),
    Verb.RETRY: Deed(ReasonForm, _with_reason(actions.retry)),
    Verb.REVERSE: Deed(ReasonForm, _with_reason(actions.reverse)),
    Verb.TEARDOWN: Deed(ReasonForm, _teardown),
    Verb.KEEP: Deed(KeepForm, _keep, _longer),
}


def what_happened(verb: Verb, move: AppMigration, act: Act | None = None) -> str:
    """For the page after the deed; `act` is what was decided on."""
    if verb is Verb.WITHDRAW:
        return f"You withdrew the request for the {act}."
    if verb is Verb.REJECT:
        return f"You rejected the {act}."
    if verb is Verb.APPROVE and act:
        return f"You approved the {act}. {_comes_of(act, move)}"
    if verb is Verb.KEEP:
        return f"The replica is kept until {move.source_replica.review_at:%Y-%m-%d}; then an alarm asks about it."
    if verb is Verb.REVERSE and move.status == Status.ABORTING:
        return _comes_of(Act.ABORT, move)
    wanted = start_of(move.kind) if verb in (Verb.REVERSE, Verb.REQUEST) else Act(verb.value)
    waiting = approvals.open_of(move)
    if waiting and waiting.act == wanted:
        return f"You asked for the {wanted}. Nothing happens until somebody else approves it."
    return _comes_of(wanted, move)


def _comes_of(act: Act, move: AppMigration) -> str:
    """What is under way now that the act was done."""
    if act is Act.ABORT:
        return "The move is aborted." if move.status == Status.ABORTED else "The move is being undone."
    if act is Act.RETRY:
        return "The undoing goes on." if move.ends_as else "The move goes on."
    if act is Act.TEARDOWN:
        return "The replica is being torn down."
    return f"The {act} begins as soon as nothing stands in the way."

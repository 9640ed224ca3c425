"""What waits for a decision and loses its point, and what changes while somebody decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models.functions import Now

from migrations_app import actions, approvals
from migrations_app.actions import deciding
from migrations_app.errors import PermanentError
from migrations_app.models import AppMigration, Approval, AuditEvent
from migrations_app.preflight import Finding
from migrations_app.states import Act, ApprovalState, Status, Step
from tests.test_approval import Paper, on_paper, refusal, run, waiting

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def paper(transactional_db: None, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Paper:
    return on_paper(monkeypatch, settings)


def void_since() -> str:
    """Why the one request that was open is void; nothing may be decided about it any more."""
    approval = Approval.objects.get(state=ApprovalState.VOID)
    assert approval.decided_at
    event = AuditEvent.objects.get(verb="void_request")
    assert (event.migration_id, event.from_status, event.to_status) == (approval.migration_id, "", "")
    return event.reason


def test_an_abort_nobody_decided_on_is_void_when_the_move_aborts_itself(paper: Paper, settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({Act.ABORT})
    move = paper.request()
    actions.abort(move_id=move.pk, acting_user=paper.ann, reason="a test")

    def fails(_: object) -> None:
        raise PermanentError("the cause")

    paper.steps[Step.DUMPING_DATA].on_do = fails
    assert run(move).status == Status.FAILED
    assert void_since() == "abort: The move is aborting."


def test_a_retry_nobody_decided_on_is_void_once_the_move_goes_on(paper: Paper, settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({Act.RETRY})
    move = paper.request()
    AppMigration.objects.update(status=Status.HELD, pivot_at=Now())
    actions.retry(move_id=move.pk, acting_user=paper.ann, reason="a test")
    settings.MOVES_FOUR_EYES = frozenset()
    actions.retry(move_id=move.pk, acting_user=paper.ann, reason="a test")
    assert void_since() == "retry: The move is running."
    assert refusal(paper.approve, move) == "nothing_to_decide"


def reversed_again(paper: Paper, move: AppMigration) -> None:
    back = actions.reverse(move_id=move.pk, acting_user=paper.ann, reason="a test")
    assert run(back).status == Status.COMPLETED


def torn_down_alone(paper: Paper, move: AppMigration) -> None:
    actions.teardown(move_id=move.pk, acting_user=paper.ann, reason="a test", confirm="shop")


@pytest.mark.parametrize(
    ("ends", "why"),
    [
        (reversed_again, "teardown: The replica is reversed."),
        (torn_down_alone, "teardown: The replica is tearing down."),
    ],
)
def test_a_teardown_nobody_decided_on_is_void_once_the_replica_is_no_way_back(
    paper: Paper, settings: LazySettings, ends: Callable[[Paper, AppMigration], None], why: str
) -> None:
    settings.MOVES_FOUR_EYES = frozenset({Act.TEARDOWN})
    move = run(paper.request())
    actions.teardown(move_id=move.pk, acting_user=paper.ann, reason="a test", confirm="shop")
    settings.MOVES_FOUR_EYES = frozenset()
    ends(paper, move)
    assert void_since() == why
    assert refusal(paper.approve, move) == "nothing_to_decide"


# -- meanwhile --------------------------------------------------------------------------------------------------------


def while_looking(paper: Paper, monkeypatch: pytest.MonkeyPatch, act: Callable[[], Any]) -> None:
    """Let `act` happen once, while the approver's preflight looks into the regions."""
    acts = [act]

    def look_meanwhile(row: AppMigration) -> Any:
        if acts:
            acts.pop()()
        return [vars(finding) for finding in paper.findings]

    monkeypatch.setattr(deciding, "look", look_meanwhile)


def test_a_consent_to_one_request_is_none_to_the_next(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    move = paper.request()
    first = waiting(move)

    def approved_and_void_again() -> None:
        queued = actions.approve(move_id=move.pk, acting_user=User.objects.create_superuser("cid"))
        with transaction.atomic():
            approvals.void(queued, reason="The app changed.", findings=[])

    while_looking(paper, monkeypatch, approved_and_void_again)
    assert refusal(paper.approve, move) == "changed_meanwhile"
    assert waiting(move).pk != first.pk


def test_what_somebody_else_sees_meanwhile_was_not_seen(paper: Paper, monkeypatch: pytest.MonkeyPatch) -> None:
    move = paper.request()

    def somebody_looks() -> None:
        paper.findings.append(Finding("versions", "warn", "eu has an older PostgreSQL."))
        actions.look_again(move_id=move.pk, acting_user=paper.ann)

    while_looking(paper, monkeypatch, somebody_looks)
    assert refusal(paper.approve, move) == "changed_since_seen"
    assert paper.approve(move).status == Status.QUEUED


def test_a_move_that_waits_again_holds_no_slot(paper: Paper) -> None:
    move = paper.approved()
    AppMigration.objects.update(facts={"slot": True})  # its worker died after it had taken one
    type(move.source_region).objects.update(accepts_moves=False)
    after = run(move)
    assert (after.status, after.fact("slot")) == (Status.QUEUED, False)

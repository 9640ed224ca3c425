"""Who decides, for how long it can wait, and which acts wait for a second person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from migrations_app import actions, offers, published, queries
from migrations_app.checks import configuration
from migrations_app.errors import Forbidden, InvalidInput
from migrations_app.models import App, AppMigration, Approval, AuditEvent, Region, SourceReplica
from migrations_app.permissions import Verb
from migrations_app.states import Act, ApprovalState, ReplicaState, Status
from tests.test_approval import Paper, on_paper, overdue, refusal, run, waiting

HOUR = timedelta(hours=1)


@pytest.fixture
def paper(db: None, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Paper:
    return on_paper(monkeypatch, settings)


def verbs() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("verb", flat=True))


def decide(act: Callable[..., AppMigration], move: AppMigration, by: User | None, **more: Any) -> AppMigration:
    return act(move_id=move.pk, acting_user=by, **more)


# -- who ------------------------------------------------------------------------------------------------------------


def test_nobody_approves_their_own_request(paper: Paper) -> None:
    move = paper.request()
    assert refusal(decide, actions.approve, move, paper.ann) == "own_request"
    assert waiting(move).state == ApprovalState.OPEN


def test_the_shell_without_a_name_approves_and_rejects_nothing(paper: Paper) -> None:
    move = paper.request()
    for act, more in ((actions.approve, {}), (actions.reject, {"reason": "no"})):
        with pytest.raises(Forbidden, match="without a name"):
            decide(act, move, None, **more)


def test_what_the_shell_asked_for_is_approved_by_anybody_with_the_right(paper: Paper) -> None:
    assert paper.approved(acting_user=None).status == Status.QUEUED


@pytest.mark.parametrize("approver", ["ann", None])
def test_the_database_keeps_everybody_from_approving_their_own(paper: Paper, approver: str | None) -> None:
    move = paper.request()
    by = User.objects.filter(username=approver).first()
    name = "nobody_approves_their_own" if by else "an_approval_has_an_approver"
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        Approval.objects.update(state=ApprovalState.APPROVED, decided_by=by)
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        Approval.objects.create(
            act=Act.MOVE,
            migration=move,
            state=ApprovalState.APPROVED,
            requested_by=paper.ann,
            decided_by=by,
            subject={},
            expires_at=Now(),
        )


def test_the_database_keeps_one_open_request_for_a_move(paper: Paper) -> None:
    move = paper.request()
    with pytest.raises(IntegrityError, match="one_open_approval_per_move"), transaction.atomic():
        Approval.objects.create(act=Act.ABORT, migration=move, subject={}, expires_at=Now())


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_rejection_says_why(paper: Paper, reason: str) -> None:
    move = paper.request()
    with pytest.raises(InvalidInput) as refused:
        decide(actions.reject, move, paper.bob, reason=reason)
    assert (refused.value.code, waiting(move).state) == ("reason_missing", ApprovalState.OPEN)


def test_a_rejected_move_is_over_and_says_who_and_why(paper: Paper) -> None:
    move = decide(actions.reject, paper.request(), paper.bob, reason=" not this week ")
    said = published.describe_approval(Approval.objects.get())
    assert (move.status, said["state"], said["decided_by"], said["comment"]) == (
        Status.ABORTED,
        ApprovalState.REJECTED,
        "bob",
        "not this week",
    )
    assert refusal(paper.approve, move) == "nothing_to_decide"
    assert paper.request().status == Status.AWAITING_APPROVAL


def test_who_asks_may_reject_their_own_request_too(paper: Paper) -> None:
    assert decide(actions.reject, paper.request(), paper.ann, reason="a mistake").status == Status.ABORTED


def test_only_who_asked_withdraws(paper: Paper) -> None:
    move = paper.request()
    for other in (paper.bob, None):
        assert refusal(decide, actions.withdraw, move, other) == "not_own_request"
    assert decide(actions.withdraw, move, paper.ann).status == Status.ABORTED
    assert Approval.objects.get().state == ApprovalState.WITHDRAWN
    assert verbs() == ["request", "withdraw"]


def test_an_approved_request_is_not_withdrawn_any_more(paper: Paper) -> None:
    assert refusal(decide, actions.withdraw, paper.approved(), paper.ann) == "nothing_to_decide"


# -- how long ---------------------------------------------------------------------------------------------------------


def reconcile() -> None:
    call_command("reconcile", "--once", "--json")


def test_a_request_nobody_decides_on_expires(paper: Paper) -> None:
    move = paper.request()
    reconcile()
    assert waiting(move).state == ApprovalState.OPEN
    overdue(waiting(move))
    reconcile()
    reconcile()
    move.refresh_from_db()
    assert (move.status, Approval.objects.get().state) == (Status.ABORTED, ApprovalState.EXPIRED)
    assert verbs() == ["request", "expire"]


def test_a_request_that_expired_is_not_approved_before_the_reconciler_came_by_either(paper: Paper) -> None:
    move = paper.request()
    overdue(waiting(move))
    assert refusal(paper.approve, move) == "expired"
    assert refusal(decide, actions.reject, move, paper.bob, reason="no") == "expired"


@pytest.mark.django_db(transaction=True)
def test_an_approval_that_expired_starts_nothing(paper: Paper) -> None:
    move = paper.approved()
    overdue(Approval.objects.get())
    after = run(move)
    assert (after.status, paper.done, Approval.objects.get().state) == (Status.ABORTED, [], ApprovalState.EXPIRED)
    assert AuditEvent.objects.get(verb="expire").reason == "It was approved, but did not begin in time."


@pytest.mark.django_db(transaction=True)
def test_an_approval_expires_where_no_runner_comes_by(paper: Paper) -> None:
    move = paper.approved()
    overdue(Approval.objects.get())
    reconcile()
    move.refresh_from_db()
    assert (move.status, verbs()) == (Status.ABORTED, ["request", "approve", "expire"])


@pytest.mark.django_db(transaction=True)
def test_an_approval_whose_move_has_begun_does_not_expire(paper: Paper) -> None:
    move = run(paper.approved())
    overdue(Approval.objects.get())
    reconcile()
    assert (move.status, Approval.objects.get().state) == (Status.COMPLETED, ApprovalState.APPROVED)


def test_a_request_waits_as_long_as_the_setting_says(paper: Paper, settings: LazySettings) -> None:
    settings.MOVES_REQUEST_HOURS = 2
    approval = waiting(paper.request())
    assert approval.expires_at - approval.requested_at == pytest.approx(2 * HOUR, abs=timedelta(seconds=5))


def test_an_approval_counts_from_the_earliest_start(paper: Paper, settings: LazySettings) -> None:
    settings.MOVES_APPROVAL_HOURS = 2
    soon, now = timedelta(seconds=10), datetime.now(UTC)
    paper.approved()
    assert Approval.objects.get().expires_at - now == pytest.approx(2 * HOUR, abs=soon)


def test_an_approval_counts_from_the_start_time(paper: Paper, settings: LazySettings) -> None:
    settings.MOVES_APPROVAL_HOURS = 2
    start = datetime.now(UTC) + 100 * HOUR
    paper.approved(not_before=start)
    assert Approval.objects.get().expires_at == start + 2 * HOUR


def test_an_approval_counts_from_the_opening_of_the_window_after_the_start_time(
    paper: Paper, settings: LazySettings
) -> None:
    settings.MOVES_APPROVAL_HOURS = 2
    start = datetime.now(UTC) + 30 * HOUR
    opening = (start + 10 * HOUR).replace(second=0, microsecond=0)
    Region.objects.filter(slug="eu").update(
        window_day=opening.weekday(), window_opens=opening.time(), window_minutes=60
    )
    paper.approved(not_before=start)
    assert Approval.objects.get().expires_at == opening + 2 * HOUR


def test_an_approval_of_a_reverse_counts_from_now_for_it_waits_for_no_window(
    paper: Paper, settings: LazySettings
) -> None:
    settings.MOVES_FOUR_EYES, settings.MOVES_APPROVAL_HOURS = frozenset({Act.REVERSE}), 2
    opening = datetime.now(UTC) + 50 * HOUR
    Region.objects.update(window_day=opening.weekday(), window_opens=opening.time(), window_minutes=60)
    paper.approve(want(paper, Act.REVERSE))
    assert Approval.objects.get().expires_at < datetime.now(UTC) + 3 * HOUR


# -- which acts -------------------------------------------------------------------------------------------------------


def in_status(paper: Paper, act: Act) -> AppMigration:
    """A move that the act can be wanted of."""
    us, eu = Region.objects.get(slug="us"), Region.objects.get(slug="eu")
    status, pivot = {
        Act.ABORT: (Status.RUNNING, None),
        Act.RETRY: (Status.HELD, None),
    }.get(act, (Status.COMPLETED, datetime.now(UTC)))
    move = AppMigration.objects.create(app=paper.app, source_region=us, dest_region=eu, status=status, pivot_at=pivot)
    if status == Status.COMPLETED:
        SourceReplica.objects.create(migration=move, app=paper.app, region=us)
        App.objects.update(region=eu)
    return move


def want(paper: Paper, act: Act) -> AppMigration:
    """Ann does it, or asks for it; the move it is about."""
    if act == Act.MOVE:
        return paper.request()
    move = in_status(paper, act)
    how: dict[str, Any] = {"move_id": move.pk, "acting_user": paper.ann, "reason": "a test"}
    if act == Act.TEARDOWN:
        return actions.teardown(**how, confirm="shop").migration
    return {Act.REVERSE: actions.reverse, Act.ABORT: actions.abort, Act.RETRY: actions.retry}[act](**how)


def state(move: AppMigration) -> str:
    """Of what the act is about: the replica, for a teardown."""
    move = queries.move(move.pk, viewer=None)
    return move.source_replica.state if move.status == Status.COMPLETED else move.status


BEFORE = {
    Act.MOVE: Status.AWAITING_APPROVAL,
    Act.REVERSE: Status.AWAITING_APPROVAL,
    Act.ABORT: Status.RUNNING,
    Act.RETRY: Status.HELD,
    Act.TEARDOWN: ReplicaState.RETAINED,
}
AFTER = {
    Act.MOVE: Status.QUEUED,
    Act.REVERSE: Status.QUEUED,
    Act.ABORT: Status.ABORTING,
    Act.RETRY: Status.RUNNING,
    Act.TEARDOWN: ReplicaState.TEARING_DOWN,
}


@pytest.mark.parametrize("act", Act)
def test_an_act_that_policy_names_waits_for_a_second_person_and_is_done_once(
    paper: Paper, settings: LazySettings, act: Act
) -> None:
    settings.MOVES_FOUR_EYES = frozenset({act})
    move = want(paper, act)
    assert (state(move), waiting(move).act) == (BEFORE[act], act)
    assert refusal(decide, actions.approve, move, paper.ann) == "own_request"
    paper.approve(move)
    assert state(move) == AFTER[act]
    assert refusal(paper.approve, move) == "nothing_to_decide"
    assert len(verbs()) == 2
    assert verbs()[1] == "approve"


@pytest.mark.parametrize("act", Act)
def test_an_act_that_policy_does_not_name_is_done_at_once(paper: Paper, settings: LazySettings, act: Act) -> None:
    settings.MOVES_FOUR_EYES = frozenset(Act) - {act}
    assert state(want(paper, act)) == AFTER[act]
    assert not Approval.objects.exists()
    assert len(verbs()) == 1


@pytest.mark.parametrize("act", [Act.ABORT, Act.RETRY, Act.TEARDOWN])
@pytest.mark.parametrize("say_no", [actions.reject, actions.withdraw])
def test_what_was_declined_is_not_done(paper: Paper, settings: LazySettings, act: Act, say_no: Any) -> None:
    settings.MOVES_FOUR_EYES = frozenset({act})
    move = want(paper, act)
    decide(say_no, move, paper.ann, reason="no")
    assert (state(move), Approval.objects.filter(state=ApprovalState.OPEN).exists()) == (BEFORE[act], False)


@pytest.mark.parametrize("act", [Act.ABORT, Act.RETRY, Act.TEARDOWN])
def test_what_expired_is_not_done(paper: Paper, settings: LazySettings, act: Act) -> None:
    settings.MOVES_FOUR_EYES = frozenset({act})
    move = want(paper, act)
    overdue(waiting(move))
    reconcile()
    assert (state(move), Approval.objects.get().state) == (BEFORE[act], ApprovalState.EXPIRED)
    assert AuditEvent.objects.get(verb="expire").reason == f"{act}: Nobody decided on it in time."


def test_a_teardown_is_asked_for_once(paper: Paper) -> None:
    move = want(paper, Act.TEARDOWN)
    again: dict[str, Any] = {"move_id": move.pk, "acting_user": paper.bob, "reason": "a test", "confirm": "shop"}
    assert refusal(actions.teardown, **again) == "already_asked"
    (offer,) = [offer for offer in offers.of_move(move, user=paper.bob) if offer.verb == Verb.TEARDOWN]
    assert [blocker.code for blocker in offer.blockers] == ["already_asked"]


def test_a_teardown_is_not_approved_while_a_reverse_needs_the_replica(paper: Paper) -> None:
    move = want(paper, Act.TEARDOWN)
    actions.reverse(move_id=move.pk, acting_user=paper.ann, reason="a test")
    assert refusal(paper.approve, move) == "move_active"
    assert state(move) == ReplicaState.RETAINED
    assert waiting(move).act == Act.TEARDOWN


def test_an_abort_is_not_approved_once_the_move_is_past_its_pivot(paper: Paper, settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({Act.ABORT})
    move = want(paper, Act.ABORT)
    AppMigration.objects.update(pivot_at=Now())
    assert refusal(paper.approve, move) == "past_pivot"


def test_a_policy_that_names_no_act_fails_the_check(settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"move", "fly"})
    (found,) = [message for message in configuration(None) if message.id == "portal.E006"]
    assert "fly" in found.msg
    assert all(act in (found.hint or "") for act in Act)
    settings.MOVES_FOUR_EYES = frozenset(Act)
    assert "portal.E006" not in {message.id for message in configuration(None)}

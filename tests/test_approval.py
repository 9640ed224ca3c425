"""A consent counts for what was looked at, for a while, and from somebody else.

Regions are on paper: `findings` is what every look into them finds. Steps are stand-ins, but for `requested`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db.models.functions import Now

from migrations_app import actions, approvals, preflight, queries
from migrations_app.actions import deciding, requesting
from migrations_app.engine import executor
from migrations_app.engine.executor import run_move
from migrations_app.errors import ApprovalVoid, Refused
from migrations_app.models import App, AppMigration, Approval, AuditEvent, Region, StepRun
from migrations_app.move import Move
from migrations_app.preflight import Finding
from migrations_app.states import Act, ApprovalState, RunStatus, Status, Step
from migrations_app.steps import requested
from tests.test_engine import StandIn

NOTHING_YET = "nothing has begun in the regions"


@dataclass
class Paper:
    """Two regions and an app, who asks and who approves, and what there is to see."""

    ann: User
    bob: User
    app: App
    steps: dict[Step, StandIn]
    done: list[str]
    findings: list[Finding] = field(default_factory=list)

    def request(self, **wanted: Any) -> AppMigration:
        return actions.request_move(
            app_slug="shop", dest_slug="eu", reason="a test", **{"acting_user": self.ann, **wanted}
        )

    def approve(self, move: AppMigration, seen: str = "") -> AppMigration:
        return actions.approve(move_id=move.pk, acting_user=self.bob, seen=seen)

    def approved(self, **wanted: Any) -> AppMigration:
        return self.approve(self.request(**wanted))


def on_paper(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Paper:
    settings.MOVES_FOUR_EYES = frozenset({Act.MOVE, Act.TEARDOWN})
    us = Region.objects.create(slug="us", database="host=us")
    Region.objects.create(slug="eu", database="host=eu")
    done: list[str] = []
    paper = Paper(
        ann=User.objects.create_superuser("ann"),
        bob=User.objects.create_superuser("bob"),
        app=App.objects.create(slug="shop", database="shop", region=us),
        steps={step: StandIn(step, done) for step in Step},
        done=done,
    )
    paper.steps[Step.REQUESTED].on_do = requested.do
    monkeypatch.setattr(executor, "STEPS", paper.steps)
    monkeypatch.setattr(preflight, "preflight", lambda *looked_at: paper.findings)
    for module in (requesting, deciding):
        monkeypatch.setattr(module, "look", lambda row: [vars(finding) for finding in paper.findings])
    return paper


@pytest.fixture
def paper(db: None, monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Paper:
    return on_paper(monkeypatch, settings)


def refusal(act: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    with pytest.raises(Refused) as refused:
        act(*args, **kwargs)
    return refused.value.code


def run(move: AppMigration) -> AppMigration:
    AppMigration.objects.filter(pk=move.pk).update(due_at=Now())
    run_move(move.pk)
    return queries.move(move.pk, viewer=None)


def waiting(move: AppMigration) -> Approval:
    """The one open request about the move."""
    return Approval.objects.get(migration=move, state=ApprovalState.OPEN)


def overdue(approval: Approval) -> None:
    Approval.objects.filter(pk=approval.pk).update(expires_at=Now() - timedelta(seconds=1))


# -- what was approved is what begins -------------------------------------------------------------------------------


def region(slug: str, part: str, value: str) -> Callable[[Paper, AppMigration], object]:
    def change(paper: Paper, move: AppMigration) -> None:
        Region.objects.filter(slug=slug).update(**{part: value})

    change.__name__ = part
    return change


def app(**fields: Any) -> Callable[[Paper, AppMigration], object]:
    def change(paper: Paper, move: AppMigration) -> None:
        App.objects.update(**fields)

    change.__name__ = "_".join(fields)
    return change


def another_strategy(paper: Paper, move: AppMigration) -> None:
    """There is but one that a move can have: so it was another that was approved."""
    for approval in move.approvals.all():
        subject = {**approval.subject, "strategy": "live"}
        Approval.objects.filter(pk=approval.pk).update(subject=subject, fingerprint=approvals.fingerprint(subject))


def earlier(paper: Paper, move: AppMigration) -> None:
    AppMigration.objects.filter(pk=move.pk).update(not_before=Now() - timedelta(hours=1))


def a_warning(paper: Paper, move: AppMigration) -> None:
    paper.findings.append(Finding("versions", "warn", "eu has an older PostgreSQL."))


CHANGES = [
    ("the app", app(database="shop_2")),
    ("the app", app(blobs="shop")),
    ("the app", app(program="shop", port=8000)),
    ("the app", app(hostname="shop.example.com")),
    ("the app", app(health_path="/up")),
    *(
        (f"the {side} region", region(slug, part, value))
        for side, slug in (("source", "us"), ("destination", "eu"))
        for part, value in {
            "database": "host=elsewhere",
            "conn_from_regions": "host=other-address",
            "blobs": "store:",
            "runtime_url": "http://10.0.0.1:9001/RPC2",
            "runtime_path": "files:",
            "app_host": "10.0.0.1",
        }.items()
    ),
    ("the strategy", another_strategy),
    ("the start time", earlier),
    ("what preflight finds", a_warning),
]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("part", "change"), CHANGES)
def test_a_move_does_not_begin_with_what_was_not_approved(paper: Paper, part: str, change: Any) -> None:
    move = paper.approved()
    change(paper, move)
    after = run(move)
    assert (after.status, after.current_step) == (Status.AWAITING_APPROVAL, Step.REQUESTED)
    assert paper.done == ["do requested"], NOTHING_YET
    assert after.fact("slot") is False
    assert [run.status for run in StepRun.objects.all()] == [RunStatus.INTERRUPTED]
    event = AuditEvent.objects.get(verb="void_approval")
    assert (event.from_status, event.to_status) == (Status.QUEUED, Status.AWAITING_APPROVAL)
    assert event.reason == f"Since it was approved, {part} changed."
    assert [a.state for a in Approval.objects.order_by("id")] == [ApprovalState.VOID, ApprovalState.OPEN]
    assert waiting(move).requested_by == paper.ann
    assert after.preflight == [vars(finding) for finding in paper.findings]


@pytest.mark.django_db(transaction=True)
def test_a_move_that_was_approved_anew_begins(paper: Paper) -> None:
    move = paper.approved()
    a_warning(paper, move)
    assert run(move).status == Status.AWAITING_APPROVAL
    assert "not due" in run_move(move.pk)
    paper.approve(move)
    assert run(move).status == Status.COMPLETED
    assert list(AuditEvent.objects.order_by("id").values_list("verb", flat=True))[:5] == [
        "request",
        "approve",
        "void_approval",
        "approve",
        "start",
    ]


@pytest.mark.django_db(transaction=True)
def test_what_passes_and_what_is_said_beside_it_may_change(paper: Paper) -> None:
    move = paper.approved()
    paper.findings.append(Finding("room", "pass", "9 GB are free."))
    App.objects.update(owner=None)
    Region.objects.update(name="renamed", cost_per_gb_month_usd=1, concurrent_moves=5)
    assert run(move).status == Status.COMPLETED


@pytest.mark.django_db(transaction=True)
def test_a_voided_move_holds_no_slot_from_another(paper: Paper) -> None:
    Region.objects.update(concurrent_moves=1)
    App.objects.create(slug="blog", database="blog", region=paper.app.region)
    move = paper.approved()
    App.objects.filter(slug="shop").update(health_path="/up")
    assert run(move).status == Status.AWAITING_APPROVAL
    other = actions.request_move(app_slug="blog", dest_slug="eu", acting_user=paper.ann, reason="a test")
    assert run(paper.approve(other)).status == Status.COMPLETED


@pytest.mark.django_db(transaction=True)
def test_an_abort_that_waits_for_approval_does_not_keep_an_approval_from_being_void(
    paper: Paper, settings: LazySettings
) -> None:
    settings.MOVES_FOUR_EYES |= {Act.ABORT}
    move = paper.approved()
    actions.abort(move_id=move.pk, acting_user=paper.ann, reason="a test")
    a_warning(paper, move)
    assert run(move).status == Status.AWAITING_APPROVAL
    assert waiting(move).act == Act.MOVE
    assert Approval.objects.get(act=Act.ABORT).state == ApprovalState.VOID


@pytest.mark.django_db(transaction=True)
def test_an_abort_that_comes_before_the_void_wins(paper: Paper) -> None:
    def aborted_meanwhile(move: Move) -> None:
        actions.abort(move_id=move.row.pk, acting_user=paper.ann, reason="a test")
        raise ApprovalVoid("Since it was approved, the app changed.", [])

    move = paper.approved()
    paper.steps[Step.REQUESTED].on_do = aborted_meanwhile
    after = run(move)
    assert (after.status, after.lease_owner) == (Status.ABORTED, "")
    assert not AuditEvent.objects.filter(verb="void_approval").exists()


# -- what was seen is what is approved --------------------------------------------------------------------------------


@pytest.mark.parametrize(("part", "change"), CHANGES)
def test_what_changed_since_it_was_looked_at_is_not_approved(paper: Paper, part: str, change: Any) -> None:
    move = paper.request()
    looked_at = waiting(move).fingerprint
    change(paper, move)
    seen = waiting(move).fingerprint if change is another_strategy else looked_at
    with pytest.raises(Refused) as refused:
        paper.approve(move, seen=seen)
    assert (refused.value.code, refused.value.reason) == ("changed_since_seen", f"{part.capitalize()} changed.")
    move.refresh_from_db()
    assert (move.status, AuditEvent.objects.filter(verb="approve").exists()) == (Status.AWAITING_APPROVAL, False)
    assert waiting(move).fingerprint != seen
    assert paper.approve(move, seen=waiting(move).fingerprint).status == Status.QUEUED
    assert Approval.objects.get().decided_by == paper.bob


def test_what_somebody_else_has_looked_at_since_is_not_what_the_approver_saw(paper: Paper) -> None:
    move = paper.request()
    seen = waiting(move).fingerprint
    a_warning(paper, move)
    actions.look_again(move_id=move.pk, acting_user=paper.ann)
    assert refusal(paper.approve, move, seen=seen) == "changed_since_seen"
    assert waiting(move).state == ApprovalState.OPEN


def test_without_a_fingerprint_it_is_what_was_last_on_the_books_that_is_approved(paper: Paper) -> None:
    move = paper.request()
    a_warning(paper, move)
    assert refusal(paper.approve, move) == "changed_since_seen"
    assert paper.approve(move).status == Status.QUEUED


def test_looking_again_brings_up_to_date_what_is_to_be_approved(paper: Paper) -> None:
    move = paper.request()
    a_warning(paper, move)
    before = AuditEvent.objects.count()
    actions.look_again(move_id=move.pk, acting_user=paper.bob)
    assert waiting(move).subject["findings"] == [["versions", "warn", "eu has an older PostgreSQL."]]
    assert AuditEvent.objects.count() == before
    assert paper.approve(move).status == Status.QUEUED


# -- what preflight says will fail ------------------------------------------------------------------------------------


def test_nobody_is_asked_to_approve_what_will_fail(paper: Paper) -> None:
    paper.findings.append(Finding("versions", "fail", "eu is too old.", remedy="Upgrade it."))
    with pytest.raises(Refused, match=r"eu is too old\. Upgrade it\.") as refused:
        paper.request()
    assert refused.value.code == "preflight_failed"
    assert [rows.objects.count() for rows in (AppMigration, Approval, AuditEvent)] == [0, 0, 0]


def test_what_will_fail_by_now_is_not_approved(paper: Paper) -> None:
    move = paper.request()
    paper.findings.append(Finding("versions", "fail", "eu is too old."))
    assert refusal(paper.approve, move) == "changed_since_seen"
    assert refusal(paper.approve, move) == "preflight_failed"
    assert waiting(move).state == ApprovalState.OPEN
    paper.findings.clear()
    assert refusal(paper.approve, move) == "changed_since_seen"
    assert paper.approve(move).status == Status.QUEUED

"""The second person's word."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from migrations_app import actions, approvals
from migrations_app.dashboard.display import clock
from migrations_app.dashboard.findings import findings_of
from migrations_app.models import App, AppMigration, Approval, AuditEvent, Region, SourceReplica
from migrations_app.states import ApprovalState, ReplicaState, Status
from tests import on_paper
from tests.admin.pages import carried_by, of_move, open_and_shut, page, send, verb
from tests.people import PASSWORD, person

pytestmark = pytest.mark.django_db


def seen_by(user: User, move: AppMigration) -> dict[str, str]:
    """What the approval's page carries: which one it is, and the fingerprint of what it shows."""
    return carried_by(page(user, verb("approve"), move.pk))


def test_the_approver_sees_what_is_asked_for(waiting: AppMigration, approver: User, monkeypatch: Any) -> None:
    finding = {"check": "versions", "outcome": "warn", "found": "old <b>", "why": "slow", "remedy": "upgrade"}
    monkeypatch.setattr("migrations_app.actions.deciding.look", lambda move: [finding])
    html = page(approver, verb("approve"), waiting.pk).content.decode()
    for part in ("shop", "us-east-1", "eu-west-1", "snapshot", "rita", "closer", "https://t.example/7"):
        assert part in html
    assert all(word in html for word in ("old &lt;b&gt;", "slow", "upgrade"))
    for term in ("asked for by", "to be decided by", "the approval would be valid until"):
        assert f"<dt>{term}</dt>" in html


def test_the_approver_sees_what_the_approval_is_bound_to(waiting: AppMigration, approver: User) -> None:
    Region.objects.filter(slug="us-east-1").update(blobs="us-store:")
    App.objects.update(database="shop_db", health_path="/up")
    html = page(approver, verb("approve"), waiting.pk).content.decode()
    subject = Approval.objects.get().subject
    bound = [*subject["app"].values(), *subject["source_region"].values(), *subject["dest_region"].values()]
    for value in filter(None, [*bound, subject["act"], subject["strategy"], Approval.objects.get().fingerprint]):
        assert f">{value}<" in html
    assert "us-store:" in bound
    assert "shop_db" in bound


def test_the_findings_shown_are_those_of_the_approval(waiting: AppMigration) -> None:
    waiting.preflight = [
        {"check": "disk_space", "outcome": "warn", "found": "little", "why": "it fills", "remedy": "free some"},
        {"check": "versions", "outcome": "warn", "found": "newer than what was seen", "why": "", "remedy": ""},
        {"check": "roles", "outcome": "pass", "found": "", "why": "", "remedy": ""},
    ]
    shown = findings_of(waiting, bound=[["disk_space", "warn", "little"], ["versions", "fail", "too old"]])
    assert [(finding["check"], finding["found"]) for finding in shown["problems"]] == [
        ("versions", "too old"),
        ("disk space", "little"),
    ]
    assert shown["problems"][1]["remedy"] == "free some"
    assert shown["passed"] == ["roles"]


def test_a_start_time_is_shown_while_it_is_to_come(waiting: AppMigration, approver: User) -> None:
    def shown(not_before: datetime) -> str:
        AppMigration.objects.update(not_before=not_before)
        return str(
            page(approver, verb("approve"), waiting.pk).content.decode() + of_move(approver, waiting).content.decode()
        )

    coming = shown(datetime(2999, 1, 1, tzinfo=UTC))
    assert "It begins at <time" in coming
    assert re.search("<dt>earliest start</dt><dd><time [^>]*>2999-01-01 00:00:00 UTC", coming)
    assert "2999-01-01 00:00:00 UTC</time> at the earliest" in coming
    over = shown(datetime(2001, 1, 1, tzinfo=UTC))
    assert "2001-01-01" not in over
    assert "earliest start" not in over
    assert "at the earliest" not in over


def test_an_approval_that_became_void_is_shown_with_when_and_why(
    waiting: AppMigration, approver: User, admin: User
) -> None:
    actions.approve(move_id=waiting.pk, acting_user=approver)
    waiting.refresh_from_db()
    approvals.void(waiting, reason="Since it was approved, the app changed.", findings=[])
    event = AuditEvent.objects.get(verb="void_approval")
    told = f"An earlier approval of this move became void at {clock(event.at)}. Since it was approved, the app changed."
    assert told in page(approver, verb("approve"), waiting.pk).content.decode()
    assert told in of_move(admin, waiting).content.decode()
    assert "became void" not in page(admin, verb("abort"), waiting.pk).content.decode()


def test_a_request_that_is_decided_on_while_the_page_is_made(
    waiting: AppMigration, approver: User, monkeypatch: Any
) -> None:
    def look_while_it_is_rejected(move: AppMigration) -> list[Any]:
        actions.reject(move_id=move.pk, acting_user=approver, reason="no")
        return []

    monkeypatch.setattr("migrations_app.actions.deciding.look", look_while_it_is_rejected)
    response = page(approver, verb("approve"), waiting.pk)
    assert response.status_code == 200
    assert "nothing of it waits for a decision" in response.content.decode()


def test_an_approval_of_what_was_seen(waiting: AppMigration, approver: User) -> None:
    response = send(approver, verb("approve"), waiting.pk, **seen_by(approver, waiting), comment="fine")
    assert response.status_code == 302
    waiting.refresh_from_db()
    assert waiting.status == Status.QUEUED
    assert Approval.objects.get().decided_by == approver


def test_an_approval_without_having_seen_anything_is_refused(waiting: AppMigration, approver: User) -> None:
    assert send(approver, verb("approve"), waiting.pk, approval=Approval.objects.get().pk).status_code == 409
    waiting.refresh_from_db()
    assert waiting.status == Status.AWAITING_APPROVAL


def test_an_approval_of_something_else_is_refused(waiting: AppMigration, approver: User) -> None:
    seen = seen_by(approver, waiting)
    Region.objects.filter(slug="eu-west-1").update(database="host=10.0.0.9 dbname=postgres")
    response = send(approver, verb("approve"), waiting.pk, **seen)
    assert response.status_code == 409
    assert "The destination region changed." in response.content.decode()
    assert "host=10.0.0.9 dbname=postgres" in response.content.decode(), "the page shows the new state"
    assert '<details class="log" open>' in response.content.decode()
    waiting.refresh_from_db()
    assert waiting.status == Status.AWAITING_APPROVAL
    fresh = approvals.open_of(waiting)
    assert fresh is not None
    assert fresh.fingerprint in response.content.decode(), "the page shows what there is now, to be decided on again"


def test_what_is_refused_and_forbidden_by_now_says_both(
    waiting: AppMigration, approver: User, monkeypatch: Any
) -> None:
    seen = seen_by(approver, waiting)
    failure = {"check": "versions", "outcome": "fail", "found": "The server is too old.", "why": "", "remedy": ""}
    monkeypatch.setattr("migrations_app.actions.deciding.look", lambda move: [failure])
    html = send(approver, verb("approve"), waiting.pk, **seen).content.decode()
    assert "What preflight finds changed." in html
    assert html.count("The server is too old.") == 3, "what forbids it, beside the button too, and among the findings"
    assert 'name="seen"' not in html


def test_nobody_approves_their_own_request(shop: App) -> None:
    ada = person("ada", "Admin", "team-a")
    move = actions.request_move(app_slug="shop", dest_slug="eu-west-1", acting_user=ada, reason="mine")
    assert "Approve the move" in open_and_shut(of_move(ada, move))[1]
    assert "You asked for this yourself" in page(ada, verb("approve"), move.pk).content.decode()
    response = send(
        ada, verb("approve"), move.pk, approval=Approval.objects.get().pk, seen=Approval.objects.get().fingerprint
    )
    assert response.status_code == 409
    assert "Somebody else has to approve it" in response.content.decode()


def test_a_rejection_ends_the_move_and_says_why(waiting: AppMigration, approver: User) -> None:
    assert "ends as aborted" in page(approver, verb("reject"), waiting.pk).content.decode()
    send(approver, verb("reject"), waiting.pk, reason="not in December")
    waiting.refresh_from_db()
    assert waiting.status == Status.ABORTED
    assert Approval.objects.get().state == ApprovalState.REJECTED


def test_the_list_of_approvals_is_what_waits_and_leads_to_the_move(waiting: AppMigration, approver: User) -> None:
    listed = page(approver, "migrations_app_approval_changelist").content.decode()
    move_page = reverse("admin:migrations_app_appmigration_change", args=[waiting.pk])
    assert f'href="{move_page}"' in listed
    approval = Approval.objects.get()
    assert page(approver, "migrations_app_approval_change", approval.pk).url == move_page
    actions.reject(move_id=waiting.pk, acting_user=approver, reason="no")
    assert move_page not in page(approver, "migrations_app_approval_changelist").content.decode()
    assert move_page in page(approver, "migrations_app_approval_changelist", state="rejected").content.decode()


# -- in five seconds ---------------------------------------------------------------------------------------------------


def in_short(response: Any) -> str:
    """What stands on top, as text."""
    html = re.search(r'aria-label="In short">(.*?)</section>', response.content.decode(), re.DOTALL)
    assert html is not None
    return " ".join(re.sub(r"<[^>]+>", " ", html[1]).split())


def test_the_top_says_what_who_why_and_what_may_go_wrong(
    waiting: AppMigration, approver: User, monkeypatch: Any
) -> None:
    AppMigration.objects.update(estimate={**waiting.estimate, "blocked_seconds": 0.5})  # type: ignore[dict-item]
    warning = {"check": "versions", "outcome": "warn", "found": "old", "why": "", "remedy": ""}
    monkeypatch.setattr("migrations_app.actions.deciding.look", lambda move: [warning, warning | {"found": "small"}])
    said = in_short(page(approver, verb("approve"), waiting.pk))
    assert said.startswith("Move shop from us-east-1 to eu-west-1, by snapshot. rita asked for it")
    for part in (
        "closer",
        "Writes are blocked for about 0.5 s.",
        "Preflight has 2 warnings.",
        "It was never rehearsed to eu-west-1.",
        "The way back stays open",
        "It can begin at once, when it is approved. To be decided within",
    ):
        assert part in said


def test_a_block_past_its_budget_and_one_that_nobody_measured_are_called_so(
    waiting: AppMigration, approver: User
) -> None:
    assert "How long writes are blocked nobody has measured" in in_short(page(approver, verb("approve"), waiting.pk))
    AppMigration.objects.update(
        estimate={**waiting.estimate, "blocked_seconds": 90.0},  # type: ignore[dict-item]
        block_budget_seconds=30,
    )
    response = page(approver, verb("approve"), waiting.pk)
    assert "about 1 min 30 s, but past 30.0 s it aborts itself" in in_short(response)
    assert 'class="risk risk-bad"' in response.content.decode()


def test_the_last_rehearsal_stands_there_with_its_figures(waiting: AppMigration, approver: User, shop: App) -> None:
    def rehearsed(**fields: Any) -> AppMigration:
        return on_paper.move(shop, kind="rehearsal", strategy="rehearsal", completed_at=Now(), **fields)

    good = rehearsed(
        status=Status.COMPLETED,
        facts={"data_bytes": 5 * 10**9},
        verification={"equal": True, "rows": 12, "seconds": 1, "findings": []},
    )
    html = page(approver, verb("approve"), waiting.pk).content.decode()
    assert "5.0 GB of data, 12 rows compared, all equal" in html
    assert f'href="{reverse("admin:migrations_app_appmigration_change", args=[good.pk])}"' in html
    rehearsed(status=Status.FAILED, last_error="no <b>room</b>")
    html = page(approver, verb("approve"), waiting.pk).content.decode()
    assert "did not go well" in html
    assert "no &lt;b&gt;room&lt;/b&gt;" in html
    on_paper.region("ap-south-1")
    AppMigration.objects.filter(kind="rehearsal").update(dest_region=on_paper.region("ap-south-1"))
    assert "It was never rehearsed to eu-west-1." in page(approver, verb("approve"), waiting.pk).content.decode()


def test_the_way_back_of_a_teardown_is_none(shop: App, operator: User, admin: User) -> None:
    move = on_paper.completed(shop)
    actions.teardown(move_id=move.pk, acting_user=operator, confirm="shop", reason="costs")
    response = page(admin, verb("approve"), move.pk)
    assert "It cannot be undone: the way back to us-east-1 is gone for good." in in_short(response)
    assert "There is none: shop comes back to us-east-1 by a new move only" in response.content.decode()


# -- both decisions on one page ----------------------------------------------------------------------------------------


def test_a_move_is_rejected_on_the_approval_page(waiting: AppMigration, approver: User) -> None:
    client = Client()
    client.force_login(approver)
    address = reverse(f"admin:{verb('approve')}", args=[waiting.pk])
    of = carried_by(client.get(address)) | {"decision": "reject"}
    unsaid = client.post(address, of | {"comment": " "})
    assert unsaid.status_code == 400
    assert re.search(r'id="id_comment_error"><li>Say why you reject it', unsaid.content.decode())
    waiting.refresh_from_db()
    assert waiting.status == Status.AWAITING_APPROVAL
    done = client.post(address, of | {"comment": "not in December"}, follow=True)
    assert "You rejected the move." in done.content.decode()
    waiting.refresh_from_db()
    assert waiting.status == Status.ABORTED
    assert (Approval.objects.get().state, Approval.objects.get().comment) == (
        ApprovalState.REJECTED,
        "not in December",
    )


def test_what_cannot_be_approved_can_be_rejected(waiting: AppMigration, approver: User, monkeypatch: Any) -> None:
    failure = {"check": "versions", "outcome": "fail", "found": "too old", "why": "", "remedy": ""}
    monkeypatch.setattr("migrations_app.actions.deciding.look", lambda move: [failure])
    html = page(approver, verb("approve"), waiting.pk).content.decode()
    assert re.search(r'value="approve"[^>]*disabled aria-describedby="why-not"', html)
    assert re.search(r'value="reject" class="quiet">', html)


def test_who_asked_is_shown_the_rule_and_may_withdraw(shop: App, admin: User) -> None:
    move = actions.request_move(app_slug="shop", dest_slug="eu-west-1", acting_user=admin, reason="mine")
    html = page(admin, verb("approve"), move.pk).content.decode()
    assert "You asked for this yourself. Somebody else has to approve it." in html
    withdraw = reverse(f"admin:{verb('withdraw')}", args=[move.pk])
    assert f'href="{withdraw}"' in html
    assert 'name="decision"' not in html


# -- somebody else was faster ------------------------------------------------------------------------------------------


def test_a_stale_approval_says_what_became_of_it_and_keeps_what_was_typed(
    shop: App, operator: User, admin: User
) -> None:
    move = on_paper.completed(shop)
    actions.teardown(move_id=move.pk, acting_user=operator, confirm="shop", reason="costs")
    stale = seen_by(admin, move)
    actions.reject(move_id=move.pk, acting_user=person("ben", "Admin"), reason="not yet")
    decided = Approval.objects.get().decided_at
    response = send(admin, verb("approve"), move.pk, **stale, decision="approve", comment="it <b>costs</b>")
    html = response.content.decode()
    assert response.status_code == 409
    assert f"This teardown was rejected by ben at {clock(decided)}." in html
    assert "<h1>Approve the teardown of the replica of shop in us-east-1</h1>" in html
    assert "it &lt;b&gt;costs&lt;/b&gt;" in html
    assert SourceReplica.objects.get().state == ReplicaState.RETAINED


@pytest.mark.parametrize("decision", ["approve", "reject"])
def test_a_decision_does_not_count_for_another_request(shop: App, operator: User, admin: User, decision: str) -> None:
    move = on_paper.completed(shop)
    actions.teardown(move_id=move.pk, acting_user=operator, confirm="shop", reason="costs")
    stale = seen_by(admin, move)
    actions.withdraw(move_id=move.pk, acting_user=operator)
    actions.teardown(move_id=move.pk, acting_user=operator, confirm="shop", reason="after all")
    response = send(
        admin, verb("approve"), move.pk, **stale, decision=decision, comment="fine", confirm="shop", password=PASSWORD
    )
    html = response.content.decode()
    assert response.status_code == 409
    assert "This teardown was withdrawn by olga at" in html
    assert "Another request waits by now" in html
    assert ">\nfine</textarea>" in html
    assert sorted(Approval.objects.values_list("state", flat=True)) == ["open", "withdrawn"]


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("approved", "This move was approved by ben at"),
        ("expired", "The request for this move expired at"),
        ("void", "The request for this move became void"),
    ],
)
def test_each_end_of_a_request_has_its_sentence(waiting: AppMigration, approver: User, state: str, said: str) -> None:
    stale = seen_by(approver, waiting)
    Approval.objects.update(state=state, decided_by=person("ben", "Admin"), decided_at=Now())
    assert said in send(approver, verb("approve"), waiting.pk, **stale).content.decode()


def test_where_nothing_waits_the_title_names_no_act(shop: App, admin: User) -> None:
    html = page(admin, verb("approve"), on_paper.completed(shop).pk).content.decode()
    assert "<h1>Nothing to approve about the move of shop from us-east-1 to eu-west-1</h1>" in html


def test_whatever_people_typed_stays_text(shop: App, requester: User, approver: User) -> None:
    evil = '"><script>alert(1)</script>'
    Region.objects.filter(slug="eu-west-1").update(name=evil)
    move = actions.request_move(
        app_slug="shop", dest_slug="eu-west-1", acting_user=requester, reason=evil, ticket_url="https://t.example/<b>"
    )
    for response in (
        page(approver, verb("approve"), move.pk),
        page(approver, verb("reject"), move.pk),
        send(approver, verb("approve"), move.pk, comment=evil),
        send(approver, verb("approve"), move.pk, approval=Approval.objects.get().pk, comment=evil),
        send(approver, verb("approve"), move.pk, decision=evil, approval=evil, seen=evil, comment=evil),
    ):
        assert "<script>alert" not in response.content.decode()
        assert "&lt;script&gt;alert(1)" in response.content.decode()

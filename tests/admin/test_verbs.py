"""Every verb is a button, behind a page that says what it would do."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from migrations_app import actions
from migrations_app.clock import database_now
from migrations_app.dashboard.display import clock, moment
from migrations_app.models import App, AppMigration, Approval, AuditEvent, SourceReplica
from migrations_app.states import ReplicaState, Status
from tests import on_paper
from tests.admin.pages import carried_by, of_move, open_and_shut, page, send, verb
from tests.people import PASSWORD, person

pytestmark = pytest.mark.django_db


# -- buttons ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "may", "may_not_now"),
    [
        ("Viewer", set(), {"Abort", "Retry", "Reverse", "Tear down"}),
        ("Requester", {"Abort"}, {"Retry", "Reverse", "Tear down"}),
        ("Approver", {"Approve the move", "Reject the move"}, {"Abort", "Retry", "Reverse", "Tear down"}),
        ("Operator", {"Abort"}, {"Retry", "Reverse", "Tear down"}),
        (
            "Admin",
            {"Approve the move", "Reject the move"},
            {"Retry", "Reverse", "Tear down"},
        ),
    ],
)
def test_each_role_sees_its_verbs(waiting: AppMigration, role: str, may: set[str], may_not_now: set[str]) -> None:
    assert open_and_shut(of_move(person("somebody", role, "team-a"), waiting)) == (may, may_not_now)


def test_a_button_that_leads_nowhere_says_why(waiting: AppMigration, operator: User) -> None:
    html = of_move(operator, waiting).content.decode()
    shut = re.search(r'aria-describedby="(why-\d+)">Retry</span>\s*<small class="why" id="(why-\d+)">([^<]*)<', html)
    assert shut is not None
    assert shut[1] == shut[2]
    assert "only a held move can be tried again" in shut[3]


def test_who_asked_may_withdraw_and_not_approve(waiting: AppMigration, requester: User) -> None:
    may, may_not = open_and_shut(of_move(requester, waiting))
    assert (may, may_not) == ({"Withdraw the move"}, {"Retry", "Reverse", "Tear down"}), (
        "to abort it would come to the same"
    )


def test_who_asked_and_may_decide_is_offered_one_way_to_end_it(shop: App, admin: User) -> None:
    move = actions.request_move(app_slug="shop", dest_slug="eu-west-1", acting_user=admin, reason="mine")
    may, may_not = open_and_shut(of_move(admin, move))
    assert may == {"Withdraw the move"}
    assert not {"Abort", "Reject the move"} & may_not


def test_what_has_begun_is_aborted_and_a_request_about_it_withdrawn(
    shop: App, operator: User, settings: LazySettings
) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"retry"})
    move = on_paper.move(shop, status=Status.HELD, current_step="dumping_data")
    actions.retry(move_id=move.pk, acting_user=operator, reason="the disk is free again")
    assert {"Withdraw the retry", "Abort"} <= open_and_shut(of_move(operator, move))[0]
    assert "The retry of this move waits for approval: olga asked for it at" in of_move(operator, move).content.decode()


def test_approving_a_teardown_looks_as_dangerous_as_the_teardown(shop: App, operator: User, admin: User) -> None:
    move = on_paper.completed(shop)
    assert '<a class="verb verb-danger"' in of_move(operator, move).content.decode()
    actions.teardown(move_id=move.pk, acting_user=operator, confirm="shop", reason="costs")
    danger = re.findall(r'<a class="verb verb-danger"[^>]*>([^<]+)<', of_move(admin, move).content.decode())
    assert danger == ["Approve the teardown"], "to reject it harms nothing"
    assert 'class="danger"' in page(admin, verb("approve"), move.pk).content.decode()
    assert 'class="default"' in page(admin, verb("reject"), move.pk).content.decode()


def test_approving_a_move_does_not_look_dangerous(waiting: AppMigration, approver: User) -> None:
    danger = re.findall(r'<a class="verb verb-danger"[^>]*>([^<]+)<', of_move(approver, waiting).content.decode())
    assert danger == ["Reject the move"]
    assert 'class="default"' in page(approver, verb("approve"), waiting.pk).content.decode()


def test_a_teardown_that_waits_is_seen_on_the_completed_move(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    viewer, replica = person("vera", "Viewer", "team-a"), "migrations_app_sourcereplica_change"
    assert "waits for approval" not in of_move(viewer, move).content.decode()
    actions.teardown(move_id=move.pk, acting_user=operator, confirm="shop", reason="costs")
    approval = Approval.objects.get()
    for html in (of_move(viewer, move), page(viewer, replica, move.source_replica.pk)):
        assert (
            "The teardown of the replica in us-east-1 waits for approval: olga asked for it at "
            f"{clock(approval.requested_at)}. Nothing happens until somebody else approves it. It is to be decided by "
            f"{clock(approval.expires_at)}."
        ) in html.content.decode()


def test_a_time_limit_says_of_what(waiting: AppMigration, approver: User) -> None:
    def limits() -> tuple[str, str]:
        listed = page(approver, "migrations_app_approval_changelist", state="all").content.decode()
        return of_move(approver, waiting).content.decode(), listed

    until = moment(Approval.objects.get().expires_at)
    on_page, listed = limits()
    assert re.search(rf"It is to be decided by <time [^>]*>{until}</time>\.", on_page)
    assert re.search(rf"to be decided by <time [^>]*>{until}</time>", on_page)
    assert "to be decided by <time" in listed
    actions.approve(move_id=waiting.pk, acting_user=approver)
    on_page, listed = limits()
    assert re.search(rf"valid until <time [^>]*>{moment(Approval.objects.get().expires_at)}</time>", on_page)
    assert "valid until <time" in listed
    AppMigration.objects.update(status=Status.RUNNING)
    on_page, listed = limits()
    assert "valid until" not in on_page + listed, "the move has begun: it is the limit of nothing any more"


def test_the_replica_leads_to_its_moves_verbs(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    response = page(operator, "migrations_app_sourcereplica_change", move.source_replica.pk)
    assert open_and_shut(response) == ({"Keep until…", "Reverse", "Tear down"}, set())
    assert reverse(f"admin:{verb('teardown')}", args=[move.pk]) in response.content.decode()


def test_a_teardown_that_waits_is_decided_on_from_the_replica(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    actions.teardown(move_id=move.pk, acting_user=operator, confirm="shop", reason="costs")
    admin = person("ada", "Admin")
    may, may_not = open_and_shut(page(admin, "migrations_app_sourcereplica_change", move.source_replica.pk))
    assert may == {"Approve the teardown", "Reject the teardown", "Keep until…", "Reverse"}
    assert may_not == {"Tear down"}


# -- the page before the deed, and the deed ---------------------------------------------------------------------------


def test_abort_says_what_happens_asks_why_and_does_it(waiting: AppMigration, operator: User) -> None:
    before = page(operator, verb("abort"), waiting.pk)
    assert "shop stays in us-east-1" in before.content.decode()
    after = send(operator, verb("abort"), waiting.pk, reason="the wrong app")
    assert (after.status_code, after.url) == (
        302,
        reverse("admin:migrations_app_appmigration_change", args=[waiting.pk]),
    )
    waiting.refresh_from_db()
    assert waiting.status == Status.ABORTED
    event = AuditEvent.objects.get(migration=waiting, verb="abort")
    assert (event.actor, event.surface, event.reason) == (operator, "admin", "the wrong app")


def test_abort_of_a_running_move_names_the_steps_that_are_undone(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, current_step="dumping_data")
    for step in ("requested", "reserving_dest", "blocking_writes"):
        move.step_runs.create(step=step, status="done", ended_at=Now())
    move.step_runs.create(step="dumping_data")
    html = page(operator, verb("abort"), move.pk).content.decode()
    undone = re.findall(r"<li>(\w+) is undone", html)
    assert undone == ["blocking_writes", "dumping_data", "reserving_dest"]


@pytest.mark.parametrize("name", ["abort", "retry", "reverse", "teardown", "reject"])
def test_no_deed_without_a_reason(waiting: AppMigration, name: str) -> None:
    admin = person("ada", "Admin")
    response = send(admin, verb(name), waiting.pk, reason=" ", confirm="shop", password=PASSWORD)
    assert response.status_code == 400
    waiting.refresh_from_db()
    assert waiting.status == Status.AWAITING_APPROVAL


def test_a_refusal_is_the_page_again_with_the_rules_sentence(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, pivot_at=Now())
    response = send(operator, verb("abort"), move.pk, reason="too late")
    assert response.status_code == 409
    assert "past the point of no return" in response.content.decode()


def test_a_double_submit_gets_the_rules_answer(waiting: AppMigration, operator: User) -> None:
    send(operator, verb("abort"), waiting.pk, reason="once")
    again = send(operator, verb("abort"), waiting.pk, reason="twice")
    assert again.status_code == 409
    assert "there is nothing to abort" in again.content.decode()
    assert AuditEvent.objects.filter(migration=waiting, verb="abort").count() == 1


def test_a_decision_on_what_does_not_wait_for_one(shop: App) -> None:
    move = on_paper.completed(shop)
    admin = person("ada", "Admin")
    for name in ("approve", "reject", "withdraw"):
        assert "nothing of it waits for a decision" in page(admin, verb(name), move.pk).content.decode()
        assert send(admin, verb(name), move.pk, reason="x").status_code == 409


def test_a_held_move_is_tried_again(shop: App, operator: User) -> None:
    move = on_paper.move(
        shop, status=Status.HELD, pivot_at=Now(), current_step="unblocking_writes", last_error="no edge"
    )
    html = page(operator, verb("retry"), move.pk).content.decode()
    assert "goes on with unblocking_writes" in html
    assert '<p class="stopped">no edge</p>' in html
    assert send(operator, verb("retry"), move.pk, reason="the edge is back").status_code == 302
    move.refresh_from_db()
    assert move.status == Status.RUNNING


def test_a_reverse_is_a_move_of_its_own(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    assert "goes back from eu-west-1 to us-east-1" in page(operator, verb("reverse"), move.pk).content.decode()
    response = send(operator, verb("reverse"), move.pk, reason="slow")
    back = AppMigration.objects.get(reverses=move)
    assert response.url == reverse("admin:migrations_app_appmigration_change", args=[back.pk])


def test_a_teardown_asks_first(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    html = page(operator, verb("teardown"), move.pk).content.decode()
    assert "the database shop" in html
    assert "cannot be undone" in html
    assert "nothing happens until somebody else approves it" in html
    client = Client()
    client.force_login(operator)
    address = reverse(f"admin:{verb('teardown')}", args=[move.pk])
    done = client.post(
        address,
        carried_by(client.get(address)) | {"reason": "costs", "confirm": "shop", "password": PASSWORD},
        follow=True,
    )
    assert "You asked for the teardown. Nothing happens until somebody else approves it." in done.content.decode()
    assert SourceReplica.objects.get().state == ReplicaState.RETAINED
    assert Approval.objects.get().act == "teardown"


def test_the_page_after_a_decision_says_what_comes_of_it(waiting: AppMigration, shop: App, operator: User) -> None:
    ben = person("ben", "Admin")
    client = Client()
    client.force_login(ben)

    def after(name: str, move: AppMigration, **data: str) -> str:
        address = reverse(f"admin:{verb(name)}", args=[move.pk])
        sent = carried_by(client.get(address)) | data
        return str(client.post(address, sent, follow=True).content.decode())

    html = after("approve", waiting)
    assert "You approved the move. The move begins as soon as nothing stands in the way." in html
    assert "The move is aborted." in after("abort", waiting, reason="after all not")
    done = on_paper.completed(shop)
    actions.teardown(move_id=done.pk, acting_user=operator, confirm="shop", reason="costs")
    assert "You rejected the teardown." in after("reject", done, reason="not yet")


# -- the way back, before a reverse ------------------------------------------------------------------------------------


def test_the_page_before_a_reverse_says_how_far_the_replica_is_behind(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    assert "How far us-east-1 is behind is not known." in page(operator, verb("reverse"), move.pk).content.decode()
    SourceReplica.objects.update(
        lag_bytes=12_000, lag_seconds=0.4, watched_at=database_now() - timedelta(minutes=3), problem="it <b>lags</b>"
    )
    first = page(operator, verb("reverse"), move.pk)
    assert re.search(
        r"us-east-1 is 12.0 kB, 0.4 s behind; read <time [^>]*>3 min \d\d s</time> ago\.", first.content.decode()
    )
    assert "it &lt;b&gt;lags&lt;/b&gt;" in first.content.decode()
    assert "The way back now" not in page(operator, verb("teardown"), move.pk).content.decode()
    SourceReplica.objects.update(lag_bytes=13_000, watched_at=Now())
    assert send(operator, verb("reverse"), move.pk, **carried_by(first), reason="slow").status_code == 302, (
        "figures that change by themselves are no change"
    )


def test_the_page_before_a_reverse_says_for_how_long_earlier_ones_blocked_writes(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    assert "Writes are blocked for about" not in page(operator, verb("reverse"), move.pk).content.decode()
    ended, before = database_now(), on_paper.completed(on_paper.app("blog"))
    AppMigration.objects.create(
        app=before.app,
        reverses=before,
        kind="reverse",
        strategy="reverse",
        source_region=move.dest_region,
        dest_region=move.source_region,
        reason="a test",
        status=Status.COMPLETED,
        pivot_at=ended,
        completed_at=ended,
        writes_blocked_at=ended - timedelta(seconds=2),
        writes_unblocked_at=ended,
    )
    html = page(operator, verb("reverse"), move.pk).content.decode()
    assert "Writes are blocked for about 2.0 s, by 1 earlier reverse between these regions." in html


def test_a_held_move_that_is_only_undone_tells_of_no_replica(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.HELD, pivot_at=Now(), current_step="flipping_routing")
    html = page(operator, verb("reverse"), move.pk).content.decode()
    assert "has not taken any write" in html
    assert "The way back now" not in html


# -- what will happen has changed meanwhile ----------------------------------------------------------------------------


def test_an_abort_of_what_has_begun_since_is_shown_again(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.QUEUED)
    read = carried_by(page(operator, verb("abort"), move.pk))
    AppMigration.objects.update(status=Status.RUNNING, current_step="reserving_dest")
    move.step_runs.create(step="reserving_dest")
    response = send(operator, verb("abort"), move.pk, **read, reason="the wrong app")
    html = response.content.decode()
    assert response.status_code == 409
    assert "What will happen has changed since you looked. <small>Read it again.</small>" in html
    assert "reserving_dest is undone" in html
    assert ">\nthe wrong app</textarea>" in html
    move.refresh_from_db()
    assert move.status == Status.RUNNING
    assert send(operator, verb("abort"), move.pk, **carried_by(response), reason="the wrong app").status_code == 302


def test_an_abort_is_not_refused_because_a_step_has_begun_meanwhile(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, current_step="reserving_dest")
    read = carried_by(page(operator, verb("abort"), move.pk))
    move.step_runs.create(step="reserving_dest")
    assert send(operator, verb("abort"), move.pk, **read, reason="the wrong app").status_code == 302


def test_a_retry_of_what_was_stopped_by_something_else_is_shown_again(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.HELD, current_step="dumping_data", last_error="the disk is full")
    read = carried_by(page(operator, verb("retry"), move.pk))
    AppMigration.objects.update(last_error="no connection")
    response = send(operator, verb("retry"), move.pk, **read, reason="there is room again")
    assert response.status_code == 409
    assert '<p class="stopped">no connection</p>' in response.content.decode()


def test_a_reverse_that_would_only_undo_by_now_is_shown_again(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    read = carried_by(page(operator, verb("reverse"), move.pk))
    AppMigration.objects.update(dest_region=on_paper.region("ap-south-1"))
    assert send(operator, verb("reverse"), move.pk, **read, reason="slow").status_code == 409
    assert not AppMigration.objects.filter(reverses=move).exists()


def test_a_teardown_of_more_than_the_page_listed_is_shown_again(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    read = carried_by(page(operator, verb("teardown"), move.pk))
    App.objects.update(blobs="shop-files")
    response = send(operator, verb("teardown"), move.pk, **read, reason="costs", confirm="shop", password=PASSWORD)
    assert response.status_code == 409
    assert "the bucket shop-files" in response.content.decode()
    assert not Approval.objects.exists()


def test_a_day_that_somebody_else_has_set_meanwhile_is_shown_first(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    until = f"{database_now() + timedelta(days=30):%Y-%m-%d}"
    read = carried_by(page(operator, verb("keep"), move.pk))
    sooner = database_now() + timedelta(days=3)
    actions.keep(move_id=move.pk, acting_user=operator, until=sooner)
    response = send(operator, verb("keep"), move.pk, **read, until=until)
    assert response.status_code == 409
    assert f"So far it is kept until {sooner:%Y-%m-%d}" in response.content.decode()
    assert f'value="{until}"' in response.content.decode()


def test_whoever_has_read_nothing_has_to_read_first(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, current_step="requested")
    assert send(operator, verb("abort"), move.pk, said="", reason="blind").status_code == 409
    move.refresh_from_db()
    assert move.status == Status.RUNNING

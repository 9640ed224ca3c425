"""The page of a move: who serves and who takes writes, the steps and their logs, the way back, what people said."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.utils import timezone

from migrations_app import actions
from migrations_app.models import App, AppMigration, AuditEvent, Region, SourceReplica, StepRun
from migrations_app.origin import acting_from
from migrations_app.states import Direction, ReplicaState, RunStatus, Status
from tests import on_paper
from tests.admin.pages import of_move, open_and_shut, page, send
from tests.people import person

pytestmark = pytest.mark.django_db

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


def html_of(user: User, move: AppMigration) -> str:
    html: str = of_move(user, move).content.decode()
    return html


def sides(user: User, move: AppMigration) -> dict[str, str]:
    """What stands beside Source and Destination, without tags."""
    found = re.findall(r"<dt>(Source|Destination): \S+</dt>\s*<dd>(.*?)</dd>", html_of(user, move), re.DOTALL)
    return {role: re.sub(r"<[^>]+>", "", text) for role, text in found}


def at(move: AppMigration, **fields: Any) -> AppMigration:
    AppMigration.objects.filter(pk=move.pk).update(**fields)
    return move


def test_who_serves_and_who_takes_writes_right_now(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, current_step="requested", step_started_at=Now())
    assert sides(operator, move) == {
        "Source": "serves shop; takes its writes",
        "Destination": "nothing of shop is there yet",
    }
    StepRun.objects.create(migration=move, step="reserving_dest", status=RunStatus.DONE, ended_at=Now())
    at(move, writes_blocked_at=Now() - timedelta(seconds=90), block_budget_seconds=3600)
    blocked = sides(operator, move)
    assert re.match(
        r"serves shop. Writes are blocked, for 1 min \d\d s; the move aborts itself in 58 min", blocked["Source"]
    )
    assert blocked["Destination"] == "shut to shop; being filled"
    at(move, pivot_at=Now())
    App.objects.update(region=Region.objects.get(slug="eu-west-1"))
    switched = sides(operator, move)
    assert switched["Source"] == "shut to shop; its replica is on the books once the move is completed"
    assert re.fullmatch(r"serves shop. Writes are blocked, for 1 min \d\d s", switched["Destination"]), (
        "no abort any more"
    )
    at(move, current_step="unblocking_writes")
    assert sides(operator, move)["Destination"].startswith("serves shop. Whether it takes writes is not proven yet")
    at(move, writes_unblocked_at=Now())
    assert sides(operator, move)["Destination"] == "serves shop; takes its writes"
    at(move, status=Status.COMPLETED, completed_at=Now())
    assert sides(operator, move) == {}, "where it is now is no longer this move's to tell"


def test_at_the_switch_it_is_told_who_answers_reads(shop: App, operator: User) -> None:
    move = on_paper.move(
        shop, status=Status.RUNNING, current_step="flipping_routing", writes_blocked_at=Now(), facts={"slot": True}
    )
    before = sides(operator, move)
    assert before["Source"].startswith("serves shop until its reads go over to eu-west-1. Writes are blocked, for")
    assert before["Destination"] == "filled; reads of shop go over to it once both sides are found equal"
    at(move, facts={"shut": True})
    between = sides(operator, move)
    assert between["Source"] == "shut to shop; the switch is not committed yet"
    assert between["Destination"].startswith("answers reads of shop; the switch to it is not committed yet. Writes are")
    at(move, status=Status.ABORTING, ends_as=Status.ABORTED)
    back = sides(operator, move)
    assert back["Source"] == "being opened to shop again"
    assert back["Destination"].startswith("answers reads of shop until us-east-1 does again. Writes are blocked, for")
    StepRun.objects.create(
        migration=move, step="flipping_routing", direction=Direction.UNDO, status=RunStatus.DONE, ended_at=Now()
    )
    undone = sides(operator, move)
    assert undone["Source"].startswith("serves shop. Writes are blocked, for")
    assert "aborts itself" not in undone["Source"]
    assert undone["Destination"] == "shut to shop; what was made there is being removed"


def test_an_abort_says_who_why_at_which_step_and_since_when(shop: App, operator: User) -> None:
    began = Now() - timedelta(hours=3)
    move = on_paper.move(shop, status=Status.RUNNING, current_step="dumping_data", step_started_at=began)
    actions.abort(move_id=move.pk, acting_user=operator, reason="the wrong <b>app")
    html = html_of(operator, move)
    assert "olga aborted it at dumping_data: the wrong &lt;b&gt;app" in html
    assert re.search(r"That goes on, for <time [^>]*>\d s</time>", html), "not since the step began"
    at(move, status=Status.ABORTED, completed_at=Now())
    html = html_of(operator, move)
    assert "olga aborted it at dumping_data: the wrong &lt;b&gt;app" in html
    assert "Ask again" not in html_of(person("vera", "Viewer", "team-a"), move)
    again = re.search(r'href="([^"]*)"[^>]*>Ask again<', html)
    assert again is not None
    assert again[1].endswith("?app=shop&amp;dest=eu-west-1&amp;strategy=snapshot")
    App.objects.update(region=Region.objects.get(slug="eu-west-1"))
    assert "Ask again" not in html_of(operator, move), "it is there by now"


def test_a_run_s_start_stands_beside_its_own_length(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.ABORTED, current_step="dumping_data", completed_at=Now())
    long_ago = timezone.now() - timedelta(days=2)
    for direction, began in ((Direction.DO, long_ago), (Direction.UNDO, long_ago + timedelta(hours=1))):
        run = StepRun.objects.create(
            migration=move, step="dumping_data", status=RunStatus.DONE, direction=direction,
            ended_at=began + timedelta(seconds=90 if direction == Direction.DO else 5),
        )  # fmt: skip
        StepRun.objects.filter(pk=run.pk).update(started_at=began)
    head = re.search(r'<span class="step-times quiet">(.*?)</span></span>', html_of(operator, move), re.DOTALL)
    assert head is not None
    began = timezone.localtime(long_ago + timedelta(hours=1))
    assert f"{began:%Y-%m-%d %H:%M:%S}</time>" in head[1], "of another day, so with its date"
    assert "5.0 s" in head[1]


def test_who_may_not_decide_on_a_held_move_is_told_who_may(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.HELD, pivot_at=Now(), current_step="unblocking_writes")
    said = "You may not decide how it goes on: somebody with the role Operator or Admin does."
    assert said in html_of(person("vera", "Viewer", "team-a"), move)
    assert said not in html_of(operator, move)


def test_a_retry_before_the_switch_says_that_it_goes_through_it(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.HELD, current_step="dumping_data", strategy="live")
    assert "It goes on where it stopped, through the block and the switch." in html_of(operator, move)
    asked = page(operator, "migrations_app_appmigration_retry", move.pk).content.decode()
    assert "it blocks writes and passes the switch, after which there is only forward, and Reverse." in asked
    at(move, pivot_at=Now())
    assert "through the block" not in html_of(operator, move)


def test_a_bar_of_nothing_is_none_and_no_word_stands_twice(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, current_step="copying_blobs", step_started_at=Now())
    progress: dict[str, Any] = {
        "unit": "bytes",
        "done": 0,
        "total": 0,
        "rows": None,
        "blobs": 0,
        "rate": 0,
        "seconds_left": None,
    }
    StepRun.objects.create(
        migration=move,
        step="copying_blobs",
        progress={**progress, "lag_bytes": None, "lag_seconds": None, "tables": {}},
    )
    assert "<progress" not in html_of(operator, move)
    back = on_paper.move(on_paper.app("blog"), kind="reverse", strategy="reverse", reverses=move)
    assert "<dt>kind</dt><dd>reverse</dd>" in html_of(operator, back)


def test_a_shut_button_says_what_to_do_about_it(waiting: AppMigration, requester: User) -> None:
    address = re.escape(f'<a href="/admin/migrations_app/appmigration/{waiting.pk}/change/">{str(waiting.pk)[:8]}</a>')
    html = page(requester, "migrations_app_app_change", waiting.app_id).content.decode()
    assert re.search(
        f"Move {address} of shop is awaiting approval; one move at a time. Wait for it, or abort it.", html
    )


def test_the_trail_names_the_surface_in_words_and_puts_none_in_the_approvers_mouth(
    waiting: AppMigration, approver: User
) -> None:
    actions.approve(move_id=waiting.pk, acting_user=approver)
    assert AuditEvent.objects.get(verb="approve").reason == ""
    with acting_from("admin", "127.0.0.1"):
        actions.comment(move_id=waiting.pk, acting_user=approver, text="hm")
    assert "on the portal&#x27;s pages: </span>comment" in html_of(approver, waiting)


def test_the_steps_stand_in_the_order_of_the_plan_with_the_switch_marked(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, strategy="live", current_step="dumping_data")
    html = html_of(operator, move)
    steps = re.findall(r'id="step-(\w+)"', html)
    assert steps.index("blocking_writes") == 6
    assert len(steps) == 11
    assert html.index("The switch: up to here") < html.index('id="step-flipping_routing"')
    assert html.index('id="step-blocking_writes"') < html.index("The switch: up to here")


def test_a_step_tells_its_tries_and_its_log_line_by_line(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, current_step="dumping_data", step_started_at=Now())
    acts = [{"at": "2026-01-01T10:00:00+00:00", "text": f"pg_dump ended with {EVIL}"}]
    first = StepRun.objects.create(
        migration=move, step="dumping_data", status=RunStatus.FAILED, reason="No room.", acts=acts, ended_at=Now()
    )
    StepRun.objects.create(migration=move, step="dumping_data", status=RunStatus.RUNNING, attempt=2)
    StepRun.objects.create(
        migration=move, step="copying_blobs", status=RunStatus.SKIPPED, reason="It has no blobs.", ended_at=Now()
    )
    html = html_of(operator, move)
    assert "2 tries" in html
    assert f'<li id="line-{first.pk}-1"><a class="time" href="#line-{first.pk}-1">' in html
    assert "No room." in html
    assert "It has no blobs." in html
    assert '<details id="log-dumping_data" class="log" open>' in html, "the log of the current step is open"
    assert EVIL not in html
    assert "pg_dump ended with &lt;script&gt;" in html


def test_what_was_undone_looks_so(shop: App, operator: User) -> None:
    move = on_paper.move(shop, status=Status.ABORTED, current_step="dumping_data", completed_at=Now())
    for direction in (Direction.DO, Direction.UNDO):
        StepRun.objects.create(
            migration=move, step="dumping_data", status=RunStatus.DONE, direction=direction, ended_at=Now()
        )
    assert "↩</span> undone" in html_of(operator, move)


def test_after_completion_the_way_back_is_on_top_with_its_price(shop: App, operator: User) -> None:
    move = on_paper.completed(shop)
    SourceReplica.objects.update(lag_bytes=2100, lag_seconds=0.4, watched_at=Now())
    Region.objects.update(cost_per_gb_month_usd="0.12")
    html = html_of(operator, move)
    way_back = re.sub(r"<[^>]+>", "", html[html.index('class="way-back') : html.index('id="steps"')])
    assert re.search(
        r"The way back to us-east-1 is open: kept for \d+ s, 2.1 kB \(0.4 s\) behind, read \d+ s ago, 5.0 GB, "
        r"\$0.60 a month.",
        way_back,
    )
    assert "To be looked at in 1" in way_back
    assert open_and_shut(of_move(operator, move))[0] == {"Keep until…", "Reverse", "Tear down"}
    SourceReplica.objects.update(problem="The slot is lost.", review_at=Now() - timedelta(days=1))
    html = html_of(operator, move)
    assert "The slot is lost." in html
    assert "It was to be looked at" in html
    SourceReplica.objects.update(state=ReplicaState.TORN_DOWN)
    html = html_of(operator, move)
    assert "The replica in us-east-1 was torn down: there is no way back." in html
    assert "The slot is lost." not in html


def test_the_header_says_who_asked_and_who_approved(waiting: AppMigration, approver: User) -> None:
    assert "rita asked for it; nobody has approved it yet." in html_of(approver, waiting)
    actions.approve(move_id=waiting.pk, acting_user=approver, comment="go")
    assert "rita asked for it, anna approved it." in html_of(approver, waiting)


def test_what_a_role_lacks_is_shown_with_the_reason(waiting: AppMigration) -> None:
    viewer = person("vera", "Viewer", "team-a")
    html = html_of(viewer, waiting)
    assert open_and_shut(of_move(viewer, waiting)) == (set(), {"Abort", "Retry", "Reverse", "Tear down"})
    assert html.count("Your role does not allow it.") == 1
    assert re.findall(r"data-acts>([^<]*)<", html) == ["Comment"]


def test_a_comment_is_kept_and_shown_as_text(waiting: AppMigration, approver: User) -> None:
    answer = send(approver, "move_comment", waiting.pk, text=EVIL)
    assert answer.status_code == 302
    html = html_of(approver, waiting)
    assert "&lt;script&gt;alert(1)" in html
    assert EVIL not in html


def test_whatever_people_write_stays_text(shop: App, operator: User) -> None:
    move = on_paper.move(
        shop,
        status=Status.HELD,
        current_step="dumping_data",
        step_started_at=Now(),
        reason=EVIL,
        last_error=EVIL,
        strategy_reason=EVIL,
        ticket_url=f"https://t.example/?{EVIL}",
        preflight=[{"check": EVIL, "outcome": "warn", "found": EVIL, "why": EVIL, "remedy": EVIL}],
        verification={
            "equal": False,
            "rows": 1,
            "seconds": 1,
            "findings": [{"equal": False, "kind": EVIL, "name": EVIL, "source": EVIL, "dest": EVIL}],
        },
    )
    progress = {"unit": "bytes", "done": 1, "total": 2, "rows": None, "blobs": None, "rate": 0, "seconds_left": None}
    tables = {EVIL: {"done": 1, "total": 2, "rows": 0, "state": "copying"}}
    StepRun.objects.create(
        migration=move,
        step="dumping_data",
        status=RunStatus.RUNNING,
        reason=EVIL,
        progress={**progress, "lag_bytes": None, "lag_seconds": None, "tables": tables},
    )
    html = html_of(operator, move)
    assert EVIL not in html
    assert "<img" not in html
    assert html.count("&lt;script&gt;alert(1)") >= 12

"""Messages on their way: written with what they tell, sent once, tried again, given up."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from migrations_app import actions
from migrations_app.checks import configuration
from migrations_app.clock import database_now
from migrations_app.delivery import sender, signing
from migrations_app.delivery.letters import Outcome
from migrations_app.delivery.sender import Sender, deliver_all
from migrations_app.models import AppMigration, OutboxMessage, Subscription
from migrations_app.states import Status
from migrations_app.transitions import change_status, record
from tests import on_paper
from tests.outbox.conftest import Subscribe, later
from tests.outbox.receivers import Receiver, receiving
from tests.people import team
from tests.waiting import wait_until

pytestmark = pytest.mark.django_db


def happen(move: AppMigration, verb: str = "comment", reason: str = "because") -> None:
    with transaction.atomic():
        record(verb, migration=move, reason=reason)


def one() -> OutboxMessage:
    return OutboxMessage.objects.get()


def test_what_happened_is_told_once_and_signed(move: AppMigration, subscribe: Subscribe, receiver: Receiver) -> None:
    subscription = subscribe()
    change_status(move, Status.RUNNING, verb="start")
    assert (deliver_all(), deliver_all()) == (1, 0)
    (request,) = receiver.requests
    said = json.loads(request.body)
    assert (said["type"], said["id"]) == ("move.running", request.headers["webhook-id"])
    data = said["data"]
    assert (data["app"], data["status"], data["from_status"], data["to_status"]) == (
        "shop",
        "running",
        "queued",
        "running",
    )
    assert data["url"] == f"https://moves.example.com/admin/migrations_app/appmigration/{move.pk}/change/"
    key = base64.b64decode(signing.shown(subscription).removeprefix("whsec_"))
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
    digest = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{digest}"
    message = one()
    assert (message.state, message.last_status, message.last_error, message.attempts) == ("sent", 200, "", 1)


def test_what_did_not_happen_is_not_told(move: AppMigration, subscribe: Subscribe) -> None:
    subscribe()
    with transaction.atomic():
        change_status(move, Status.RUNNING, verb="start")
        assert OutboxMessage.objects.exists()
        transaction.set_rollback(True)
    assert not OutboxMessage.objects.exists()


def test_only_those_are_told_who_asked_for_it(move: AppMigration, subscribe: Subscribe) -> None:
    subscriptions: dict[str, dict[str, Any]] = {
        "every team": {},
        "its team": {"team": team("team-a")},
        "another team": {"team": team("team-b")},
        "other events": {"events": ["move.held"]},
        "switched off": {"enabled": False},
    }
    for name, fields in subscriptions.items():
        subscribe(name, **fields)
    change_status(move, Status.RUNNING, verb="start")
    told = OutboxMessage.objects.values_list("subscription__name", flat=True)
    assert sorted(told) == ["every team", "its team"]


def test_a_failure_is_tried_again_later_and_later_with_the_same_message(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe()
    receiver.answer(500, 503, 200)
    happen(move)
    for attempt, (least, most) in enumerate([(4, 6), (8, 12)], start=1):
        assert deliver_all() == 1
        message = one()
        wait = (message.next_try_at - database_now()).total_seconds()
        assert (message.state, message.attempts) == ("pending", attempt)
        assert least - 1 < wait <= most
        assert "answered 50" in message.last_error
        assert deliver_all() == 0
        later(seconds=wait + 1)
    assert deliver_all() == 1
    assert (one().state, one().last_error) == ("sent", "")
    assert len(set(receiver.ids)) == 1
    assert len({request.body for request in receiver.requests}) == 1
    assert len(receiver.requests) == 3


def test_pauses_double_up_to_an_hour_and_the_receiver_may_ask_for_more() -> None:
    assert [round(sender.pause(n, None) / (5 * 2 ** (n - 1)), 0) for n in range(1, 9)] == [1] * 8
    assert 2880 <= sender.pause(40, None) <= 4320
    assert sender.pause(1, 120.0) == 120.0
    assert sender.pause(1, 10.0**9) == 3600.0
    assert len({sender.pause(5, None) for _ in range(5)}) > 1


@pytest.mark.parametrize(("said", "least", "most"), [("120", 115, 120), ("99999999", 3590, 3600), ("soon", 3, 6)])
def test_what_the_receiver_asks_for_is_waited(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver, said: str, least: float, most: float
) -> None:
    subscribe()
    receiver.answer(429, Retry_After=said)
    happen(move)
    deliver_all()
    assert least <= (one().next_try_at - database_now()).total_seconds() <= most


def test_after_a_day_of_failures_it_is_dead_and_can_be_sent_again(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe()
    receiver.answer(500)
    happen(move)
    deliver_all()
    later(hours=23, minutes=59, seconds=58)
    deliver_all()
    dead = one()
    assert (dead.state, dead.last_status) == ("dead", 500)
    later(hours=2)
    assert deliver_all() == 0
    receiver.answer(200)
    actions.send_again(message_id=dead.pk, acting_user=None)
    assert deliver_all() == 1
    assert one().state == "sent"
    assert len(set(receiver.ids)) == 1


def test_a_sender_that_was_away_for_long_loses_nothing(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe()
    receiver.answer(500, 200)
    happen(move)
    later(days=5)
    deliver_all()
    assert one().state == "pending"
    later(minutes=1)
    deliver_all()
    assert one().state == "sent"


def test_what_came_first_is_told_first(move: AppMigration, subscribe: Subscribe, receiver: Receiver) -> None:
    subscribe()
    receiver.answer(500, 200)
    for reason in ("one", "two", "three"):
        happen(move, reason=reason)
    other = on_another_app(move)
    happen(other, reason="of another move")
    deliver_all()
    later(minutes=1)
    deliver_all()
    told = [json.loads(request.body)["data"] for request in receiver.requests]
    own = [data for data in told if data["app"] == "shop"]
    assert [data["reason"] for data in own] == ["one", "one", "two", "three"]
    assert [data["sequence"] for data in own] == [1, 1, 2, 3]
    assert [data["reason"] for data in told].index("of another move") < 3  # it did not wait for the failed one


def on_another_app(move: AppMigration) -> AppMigration:
    return on_paper.move(on_paper.app("blog"))


def test_a_redirect_is_not_followed(move: AppMigration, subscribe: Subscribe, receiver: Receiver) -> None:
    with receiving() as elsewhere:
        subscribe()
        receiver.answer(307, Location=elsewhere.url)
        happen(move)
        deliver_all()
        assert elsewhere.requests == []
    assert (one().state, one().last_status) == ("pending", 307)
    assert "redirects are not followed" in one().last_error


def test_rotated_keys_sign_together_for_a_day(move: AppMigration, subscribe: Subscribe, receiver: Receiver) -> None:
    subscription = subscribe()
    old = signing.shown(subscription)
    actions.rotate_key(subscription_id=subscription.pk, acting_user=None, version=1)
    subscription.refresh_from_db()
    new = signing.shown(subscription)
    assert old != new
    now = database_now()
    keys = [base64.b64decode(key.removeprefix("whsec_")) for key in (new, old)]
    assert signing.keys_of(subscription, now) == keys
    assert signing.keys_of(subscription, now + timedelta(hours=25)) == keys[:1]
    happen(move)
    deliver_all()
    (request,) = receiver.requests
    assert len(request.headers["webhook-signature"].split(" ")) == 2


def test_keys_differ_by_subscription(subscribe: Subscribe) -> None:
    assert signing.shown(subscribe("a")) != signing.shown(subscribe("b"))


def test_without_a_key_nothing_is_sent_unsigned(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver, settings: Any
) -> None:
    subscribe()
    settings.MOVES_WEBHOOK_KEY = ""
    happen(move)
    deliver_all()
    assert receiver.requests == []
    assert "MOVES_WEBHOOK_KEY is not set" in one().last_error


def test_what_is_switched_off_is_given_up(move: AppMigration, subscribe: Subscribe, receiver: Receiver) -> None:
    subscription = subscribe()
    happen(move)
    Subscription.objects.filter(pk=subscription.pk).update(enabled=False)
    assert deliver_all() == 0
    assert (one().state, receiver.requests) == ("dead", [])


def test_what_was_over_long_ago_is_forgotten_and_what_waits_is_not(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe()
    happen(move)
    deliver_all()
    receiver.answer(500)
    happen(move)
    deliver_all()
    later(days=31)
    sender.tidy()
    assert one().state == "pending"


@pytest.mark.django_db(transaction=True)
def test_two_senders_never_have_the_same_message(move: AppMigration, subscribe: Subscribe, receiver: Receiver) -> None:
    for name in ("a", "b", "c", "d"):
        subscribe(name)
    happen(move)
    taken: list[int] = []
    begin = threading.Barrier(4)

    def race() -> None:
        begin.wait()
        try:
            for _ in range(3):
                taken.extend(message.pk for message in sender.claim(8))
        finally:
            connection.close()

    threads = [threading.Thread(target=race) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == sorted(OutboxMessage.objects.values_list("pk", flat=True))


def test_a_message_of_a_sender_that_died_is_taken_over_and_the_late_ones_note_changes_nothing(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe()
    happen(move)
    (before,) = sender.claim(8)
    assert sender.claim(8) == []
    later(minutes=4)
    (after,) = sender.claim(8)
    sender.settle(before, Outcome("it was late"))
    assert (one().last_error, one().attempts) == ("", 2)
    sender.settle(after, Outcome(status=204))
    assert (one().state, one().last_status) == ("sent", 204)


def test_a_receiver_that_hangs_holds_up_nobody_else(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver
) -> None:
    with receiving() as hanging:
        hanging.open.clear()
        subscribe("hangs", target=hanging.url)
        subscribe("quick")
        happen(move)
        happen(on_another_app(move))
        here = Sender()

        def going_on(reached: Callable[[], object]) -> Callable[[], object]:
            def look() -> object:
                here.start()
                here.finish(0.05)
                return reached()

            return look

        wait_until(going_on(lambda: hanging.requests and len(receiver.requests) == 2))
        under_way = OutboxMessage.objects.filter(subscription__name="hangs", attempts__gt=0)
        assert (here.start(), under_way.count()) == (0, 1)  # one thread at most
        hanging.open.set()
        wait_until(going_on(lambda: here.is_idle and len(hanging.requests) == 2))
    assert {message.state for message in OutboxMessage.objects.all()} == {"sent"}


@pytest.mark.parametrize("part", ["sender.payload_of", "letters.post"])
def test_an_error_that_nobody_foresaw_is_of_its_message_alone(
    move: AppMigration, subscribe: Subscribe, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    subscribe()
    happen(move)

    def fail(*args: object) -> None:
        raise KeyError("a secret")

    with monkeypatch.context() as patch:
        patch.setattr(f"migrations_app.delivery.{part}", fail)
        deliver_all()
    assert one().last_error == "The portal failed to send it (KeyError); its log says more."
    later(minutes=1)
    deliver_all()
    assert one().state == "sent"


def test_wrong_settings_fail_the_check(settings: Any) -> None:
    settings.MOVES_WEBHOOK_KEY, settings.MOVES_PUBLIC_URL = "short", "moves.example.com"
    assert {"portal.E008", "portal.E009"} <= {message.id for message in configuration(None)}


def test_the_command_sends_what_is_due(move: AppMigration, subscribe: Subscribe, receiver: Receiver) -> None:
    subscribe()
    happen(move)
    call_command("deliver", "--once")
    assert len(receiver.requests) == 1

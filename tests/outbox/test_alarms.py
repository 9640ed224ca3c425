"""Somebody was not told: that is an alarm, and is over when it is mended."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.db.models.functions import Now

from migrations_app import actions
from migrations_app.delivery.sender import deliver_all
from migrations_app.engine import undelivered
from migrations_app.models import Alarm, AppMigration, OutboxMessage, Subscription
from migrations_app.states import Status
from migrations_app.transitions import change_status
from tests.outbox.conftest import Subscribe, later

pytestmark = pytest.mark.django_db


def wrong_now() -> list[tuple[str, str]]:
    undelivered.look()
    return list(Alarm.objects.filter(ended_at__isnull=True).values_list("code", "sentence"))


def test_a_dead_delivery_is_an_alarm_until_it_is_sent_again(move: AppMigration, subscribe: Subscribe) -> None:
    subscribe()
    change_status(move, Status.RUNNING, verb="start")
    assert wrong_now() == []
    OutboxMessage.objects.update(dead_at=Now())
    assert wrong_now() == [("delivery_dead", "1 delivery to ops failed for a day, and no more is tried.")]
    actions.send_again(message_id=OutboxMessage.objects.get().pk, acting_user=None)
    assert wrong_now() == []


def test_it_stands_for_a_day_and_not_for_what_is_switched_off(move: AppMigration, subscribe: Subscribe) -> None:
    subscribe()
    change_status(move, Status.RUNNING, verb="start")
    OutboxMessage.objects.update(dead_at=Now())
    Subscription.objects.update(enabled=False)
    assert wrong_now() == []
    Subscription.objects.update(enabled=True)
    assert len(wrong_now()) == 1
    later(hours=25)
    assert wrong_now() == []


def test_an_outbox_that_nobody_empties_is_an_alarm(move: AppMigration, subscribe: Subscribe) -> None:
    subscribe()
    change_status(move, Status.RUNNING, verb="start")
    assert wrong_now() == []
    later(minutes=1)
    assert [code for code, _ in wrong_now()] == ["deliveries_wait"]
    call_command("reconcile", "--once")
    assert [code for code, _ in wrong_now()] == ["deliveries_wait"]
    deliver_all()
    assert wrong_now() == []

"""Every transition of moves and replicas is told, in its order, whichever way it came about."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import transaction
from django.db.models.functions import Now

from migrations_app import actions
from migrations_app.delivery.sender import deliver_all
from migrations_app.engine.reconciler import expire_overdue
from migrations_app.models import App, AppMigration, AuditEvent, OutboxMessage, SourceReplica
from migrations_app.states import ReplicaState, Status
from migrations_app.transitions import change_replica_state, change_status, record
from tests.outbox.conftest import Subscribe
from tests.outbox.receivers import Receiver
from tests.people import person

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _policy(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"move", "abort", "retry", "teardown"})
    for module in ("requesting", "deciding"):
        monkeypatch.setattr(f"migrations_app.actions.{module}.look", lambda move: [])


def asked(app: App) -> AppMigration:
    return actions.request_move(
        app_slug=app.slug, dest_slug="eu-west-1", acting_user=person("rita", "Admin"), reason="w"
    )


def as_now(move: AppMigration) -> AppMigration:
    return AppMigration.objects.get(pk=move.pk)


def told(receiver: Receiver) -> list[str]:
    deliver_all()
    return [json.loads(request.body)["type"] for request in receiver.requests]


def test_a_move_to_its_end_its_reverse_and_its_teardown(shop: App, subscribe: Subscribe, receiver: Receiver) -> None:
    subscribe()
    ann = person("ann", "Admin")
    move = asked(shop)
    rita = move.requested_by
    actions.approve(move_id=move.pk, acting_user=ann)
    change_status(as_now(move), Status.RUNNING, verb="start")
    AppMigration.objects.update(pivot_at=Now())
    App.objects.update(region=move.dest_region)
    with transaction.atomic():
        record("pass_pivot", migration=as_now(move))
    change_status(as_now(move), Status.HELD, verb="hold", reason="it stumbled")
    actions.retry(move_id=move.pk, acting_user=rita, reason="again")
    actions.approve(move_id=move.pk, acting_user=ann)
    change_status(as_now(move), Status.COMPLETED, verb="complete")
    SourceReplica.objects.create(migration=move, app=shop, region=move.source_region)
    with transaction.atomic():
        record("retain", migration=as_now(move), to_status=ReplicaState.RETAINED)
    actions.comment(move_id=move.pk, acting_user=ann, text="well done")
    actions.teardown(move_id=move.pk, acting_user=rita, confirm="shop", reason="room")
    actions.approve(move_id=move.pk, acting_user=ann)
    assert told(receiver) == [
        "move.awaiting_approval",
        "move.queued",
        "move.running",
        "move.pass_pivot",
        "move.held",
        "move.request_retry",
        "move.running",
        "move.completed",
        "replica.retained",
        "move.comment",
        "move.request_teardown",
        "replica.tearing_down",
    ]
    data = [json.loads(request.body)["data"] for request in receiver.requests]
    assert [said["sequence"] for said in data] == list(range(1, 13))
    assert [said["who"] for said in data[:3]] == ["rita", "ann", None]


def test_an_abort_a_failure_a_reverse_and_what_expired(shop: App, subscribe: Subscribe, receiver: Receiver) -> None:
    subscribe()
    ann, move = person("ann", "Admin"), asked(shop)
    actions.reject(move_id=move.pk, acting_user=ann, reason="no")
    move = asked_again(shop, move)
    move.approvals.update(expires_at="2020-01-01T00:00Z")
    expire_overdue()
    move = asked_again(shop, move)
    actions.approve(move_id=move.pk, acting_user=ann)
    change_status(as_now(move), Status.RUNNING, verb="start")
    actions.abort(move_id=move.pk, acting_user=move.requested_by, reason="stop")
    actions.approve(move_id=move.pk, acting_user=ann)
    change_status(as_now(move), Status.FAILED, verb="undone")
    move = asked_again(shop, move)
    AppMigration.objects.filter(pk=move.pk).update(status=Status.COMPLETED, pivot_at=Now())
    SourceReplica.objects.create(migration=move, app=shop, region=move.source_region)
    change_replica_state(as_now(move), ReplicaState.REVERSED, verb="reversed")
    seen = told(receiver)
    assert set(seen) == {
        "move.awaiting_approval", "move.aborted", "move.queued", "move.running", "move.request_abort", "move.aborting",
        "move.failed", "replica.reversed",
    }  # fmt: skip
    transitions = AuditEvent.objects.filter(migration__isnull=False).exclude(to_status="")
    assert not transitions.exclude(pk__in=OutboxMessage.objects.values("event")).exists()


def asked_again(app: App, before: AppMigration) -> AppMigration:
    return actions.request_move(
        app_slug=app.slug, dest_slug="eu-west-1", acting_user=before.requested_by, reason="after all"
    )

"""The same request with the same key is done once, and answered the same."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models.functions import Now

from migrations_app import actions
from migrations_app.models import AppMigration, AuditEvent, KeptAnswer
from tests.api.caller import Caller
from tests.test_permissions import World

MOVE = "/apps/ours-shop/move"
WANTED = {"dest_region": "eu-west-1"}

pytestmark = pytest.mark.django_db


def ask(caller: Caller, key: str, body: Any = WANTED, path: str = MOVE) -> Any:
    return caller.post(path, body, **{"Idempotency-Key": key})


def test_the_same_key_is_the_same_answer_and_one_move(operator: Caller) -> None:
    first, again = (ask(operator, "k1") for _ in range(2))
    assert first.status_code == again.status_code == 202
    assert first.content == again.content
    assert ("Idempotent-Replayed" in first.headers, again.headers["Idempotent-Replayed"]) == (False, "true")
    assert first.headers["Retry-After"] == again.headers["Retry-After"]
    assert AppMigration.objects.count() == 1
    assert AuditEvent.objects.filter(verb="request").count() == 1


def test_a_refusal_is_the_same_again_as_well(operator: Caller) -> None:
    ask(operator, "k1")
    refused = ask(operator, "k2")
    assert refused.status_code == 409
    AppMigration.objects.update(status="aborted")
    assert ask(operator, "k2").content == refused.content


@pytest.mark.parametrize(("body", "path"), [({"dest_region": "us-east-1"}, MOVE), (WANTED, "/apps/theirs-shop/move")])
def test_another_request_under_the_same_key_is_refused(operator: Caller, body: Any, path: str) -> None:
    ask(operator, "k1")
    answer = ask(operator, "k1", body, path)
    assert (answer.status_code, answer.json()["error"]) == (422, "key_reused")
    assert AppMigration.objects.count() == 1


def test_a_key_is_one_tokens_own(operator: Caller, here: World) -> None:
    ask(operator, "k1")
    admin = here.people["Admin"]
    assert admin
    assert ask(Caller(admin), "k1").status_code == 409


def test_a_key_is_kept_for_a_day(operator: Caller) -> None:
    ask(operator, "k1")
    ask(operator, "old")
    KeptAnswer.objects.update(kept_at=Now() - timedelta(hours=24, seconds=1))
    assert ask(operator, "k1").json()["code"] == "move_active"
    assert list(KeptAnswer.objects.values_list("key", flat=True)) == ["k1"]


def test_a_teardown_takes_a_key_too(operator: Caller) -> None:
    path = f"/source-replicas/{uuid4()}"
    first, again = (operator.delete(path, **{"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, first.content) == (404, again.content)


@pytest.mark.parametrize("key", ["", "x" * 201, "ä", "a\tb"])
def test_a_key_that_cannot_be_meant_is_refused(operator: Caller, key: str) -> None:
    answer = ask(operator, key)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_idempotency_key")
    assert not AppMigration.objects.exists()


def test_what_failed_is_not_kept_nor_half_done(operator: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    request_move = actions.request_move

    def fail(**wanted: Any) -> None:
        request_move(**wanted)
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr(actions, "request_move", fail)
        assert ask(operator, "k1").status_code == 500
    assert not AppMigration.objects.exists()
    assert ask(operator, "k1").status_code == 202


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_one_is_told_that_it_is_under_way(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    user = here.people["Operator"]
    assert user
    caller = Caller(user)
    began, go_on = threading.Event(), threading.Event()
    request_move, answers = actions.request_move, []

    def slowly(**wanted: Any) -> AppMigration:
        began.set()
        assert go_on.wait(20)
        return request_move(**wanted)

    def first() -> None:
        answers.append(ask(caller, "k1"))
        connection.close()

    monkeypatch.setattr(actions, "request_move", slowly)
    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert began.wait(20)
        second = ask(caller, "k1")
        assert (second.status_code, second.json()["error"]) == (409, "in_progress")
        assert second.headers["Retry-After"] == "1"
    finally:
        go_on.set()
        thread.join(20)
    assert [answer.status_code for answer in answers] == [202]
    assert ask(caller, "k1").content == answers[0].content
    assert AppMigration.objects.count() == 1

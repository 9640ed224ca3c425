"""Whoever tears down, or approves a teardown, types the app's name and logs in again."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import User
from django.contrib.sessions.exceptions import SessionInterrupted
from django.db import connection
from django.test import Client
from django.urls import reverse

from migrations_app import actions
from migrations_app.dashboard import logging_in_again
from migrations_app.dashboard.logging_in_again import TRIES, Proof
from migrations_app.dashboard.session_lock import kept
from migrations_app.models import App, AppMigration, Approval, AuditEvent, SourceReplica
from migrations_app.states import Act, ApprovalState, ReplicaState
from tests import on_paper
from tests.admin.pages import carried_by, page, send, verb
from tests.people import PASSWORD, person

pytestmark = pytest.mark.django_db

MEANT = {"reason": "costs", "confirm": "shop", "password": PASSWORD}


@pytest.fixture
def done(shop: App) -> AppMigration:
    return on_paper.completed(shop)


@pytest.fixture
def asked(done: AppMigration, operator: User) -> AppMigration:
    """Its teardown waits for approval."""
    actions.teardown(move_id=done.pk, acting_user=operator, confirm="shop", reason="costs")
    return done


def seen() -> dict[str, Any]:
    approval = Approval.objects.get()
    return {"approval": approval.pk, "seen": approval.fingerprint}


def error_at(field: str, response: Any) -> str:
    """What is said at the field, which refers to it."""
    html = response.content.decode()
    found = re.search(rf'<ul class="errorlist" id="id_{field}_error">(.*?)</ul>', html)
    assert found is not None, html
    assert re.search(rf'<input[^>]*name="{field}"[^>]*aria-describedby="[^"]*id_{field}_error', html)
    return re.sub(r"<[^>]+>", "", found[1])


def test_a_teardown_asks_for_the_name_and_the_password(done: AppMigration, operator: User) -> None:
    html = page(operator, verb("teardown"), done.pk).content.decode()
    assert re.search(
        r'<input type="password" name="password" autocomplete="current-password"[^>]*id="id_password"', html
    )
    assert '<label for="id_password">' in html
    assert '<label for="id_confirm">' in html
    assert send(operator, verb("teardown"), done.pk, **MEANT).status_code == 302
    assert Approval.objects.get().act == Act.TEARDOWN


def test_where_nobody_else_is_asked_it_is_torn_down_at_once(done: AppMigration, operator: User, settings: Any) -> None:
    settings.MOVES_FOUR_EYES = frozenset()
    assert send(operator, verb("teardown"), done.pk, **MEANT | {"password": "guess"}).status_code == 400
    assert SourceReplica.objects.get().state == ReplicaState.RETAINED
    assert send(operator, verb("teardown"), done.pk, **MEANT).status_code == 302
    assert SourceReplica.objects.get().state == ReplicaState.TEARING_DOWN


@pytest.mark.parametrize(
    ("field", "given", "said"),
    [
        ("confirm", "shp", "That is not the app&#x27;s name. Type shop."),
        ("confirm", "", "Type the app&#x27;s name"),
        ("password", "guess", "That is not your password. 4 more times, and you are logged out."),
        ("password", f" {PASSWORD}", "That is not your password."),
        ("password", "", "type the password you log in with"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_done(
    done: AppMigration, operator: User, field: str, given: str, said: str
) -> None:
    response = send(operator, verb("teardown"), done.pk, **MEANT | {field: given})
    assert response.status_code == 400
    assert said in error_at(field, response)
    assert not Approval.objects.exists()
    assert SourceReplica.objects.get().state == ReplicaState.RETAINED


@pytest.mark.parametrize("given", [PASSWORD, "a guess of mine"])
def test_the_password_is_not_in_the_page_nor_on_the_books(done: AppMigration, operator: User, given: str) -> None:
    response = send(operator, verb("teardown"), done.pk, **MEANT | {"confirm": "shp", "password": given})
    assert response.status_code == 400
    assert given not in response.content.decode()
    kept = [str(list(model.objects.values())) for model in (AuditEvent, Approval, AppMigration)]
    assert given not in " ".join(kept)


def test_to_approve_a_teardown_asks_for_both(asked: AppMigration, admin: User) -> None:
    html = page(admin, verb("approve"), asked.pk).content.decode()
    assert 'name="password"' in html
    assert 'name="confirm"' in html
    given = {"decision": "approve", **seen(), "comment": "", "confirm": "shop"}
    wrong = send(admin, verb("approve"), asked.pk, **given, password="guess")
    assert wrong.status_code == 400
    assert "not your password" in error_at("password", wrong)
    unnamed = send(admin, verb("approve"), asked.pk, **given | {"confirm": "", "password": PASSWORD})
    assert unnamed.status_code == 400
    assert Approval.objects.get().state == ApprovalState.OPEN
    assert send(admin, verb("approve"), asked.pk, **given, password=PASSWORD).status_code == 302
    assert SourceReplica.objects.get().state == ReplicaState.TEARING_DOWN


@pytest.mark.parametrize("name", ["approve", "reject"])
def test_to_reject_one_asks_for_neither(asked: AppMigration, admin: User, name: str) -> None:
    assert "password" not in page(admin, verb("reject"), asked.pk).content.decode().partition("<form method")[2]
    given = {"decision": "reject", "comment": "not yet", "reason": "not yet", **seen()}
    assert send(admin, verb(name), asked.pk, **given).status_code == 302
    assert (Approval.objects.get().state, Approval.objects.get().comment) == (ApprovalState.REJECTED, "not yet")


@pytest.mark.parametrize("name", ["abort", "retry", "reverse", "withdraw"])
def test_other_deeds_ask_for_neither(waiting: AppMigration, operator: User, name: str) -> None:
    assert 'name="password"' not in page(operator, verb(name), waiting.pk).content.decode()


def test_to_approve_a_move_asks_for_neither(waiting: AppMigration, approver: User) -> None:
    assert 'name="password"' not in page(approver, verb("approve"), waiting.pk).content.decode()


def test_the_password_of_somebody_else_does_not_count(done: AppMigration, operator: User) -> None:
    other = person("oscar", "Operator")
    other.set_password("what oscar knows")
    other.save()
    response = send(operator, verb("teardown"), done.pk, **MEANT | {"password": "what oscar knows"})
    assert "not your password" in error_at("password", response)


def test_who_has_no_password_is_told_what_to_do(done: AppMigration, operator: User) -> None:
    operator.set_unusable_password()
    operator.save()
    response = send(operator, verb("teardown"), done.pk, **MEANT)
    assert response.status_code == 400
    assert "Ask an admin to set one" in error_at("password", response)


def test_too_many_wrong_ones_in_a_row_end_the_session(done: AppMigration, operator: User) -> None:
    client = Client()
    client.force_login(operator)
    address = reverse(f"admin:{verb('teardown')}", args=[done.pk])
    meant = MEANT | carried_by(client.get(address))
    wrong = meant | {"password": "guess"}
    answers = [client.post(address, wrong).status_code for _ in range(TRIES - 1)]
    assert answers == [400] * (TRIES - 1)
    last = client.post(address, wrong, follow=True)
    assert last.redirect_chain == [(f"{reverse('admin:login')}?next={address}", 302)]
    assert f"the password was wrong {TRIES} times" in last.content.decode()
    assert client.post(address, meant).status_code == 401, "even the right one comes too late"
    assert not Approval.objects.exists()


def test_a_right_one_in_between_begins_the_count_anew(done: AppMigration, operator: User) -> None:
    client = Client()
    client.force_login(operator)
    address = reverse(f"admin:{verb('teardown')}", args=[done.pk])
    meant = MEANT | carried_by(client.get(address))
    for _ in range(2):
        for _ in range(TRIES - 1):
            assert client.post(address, meant | {"password": "guess"}).status_code == 400
        assert client.post(address, meant | {"confirm": "shp"}).status_code == 400
    assert client.post(address, meant).status_code == 302
    assert Approval.objects.exists()


def test_whose_password_is_hashed_anew_on_the_way_stays_logged_in(done: AppMigration, operator: User) -> None:
    operator.password = MD5PasswordHasher().encode(PASSWORD, "short")
    operator.save()
    client = Client()
    client.force_login(operator)
    address = reverse(f"admin:{verb('teardown')}", args=[done.pk])
    meant = MEANT | carried_by(client.get(address))
    assert client.post(address, meant | {"confirm": "shp"}).status_code == 400
    assert User.objects.get(pk=operator.pk).password != operator.password
    assert client.get(address).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_many_at_once_have_no_more_tries_than_one_after_the_other(
    done: AppMigration, operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    many, checked = 2 * TRIES, []

    def checks(*_: object, password: str, **__: object) -> None:
        checked.append(password)

    monkeypatch.setattr(logging_in_again, "authenticate", checks)
    first = Client()
    first.force_login(operator)
    address = reverse(f"admin:{verb('teardown')}", args=[done.pk])
    read = carried_by(first.get(address))
    together = threading.Barrier(many)
    monkeypatch.setattr(Proof, "clean_confirm", lambda _: together.wait(10))

    def guess(number: int) -> int:
        client = Client(raise_request_exception=False)
        client.cookies.update(first.cookies)
        try:
            return client.post(address, read | MEANT | {"password": f"guess {number}"}).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(many) as pool:
        answers = list(pool.map(guess, range(many)))
    assert len(checked) <= TRIES
    assert set(answers) <= {302, 400}
    assert first.get(address).status_code == 302, "the session is over"


def test_what_another_request_writes_meanwhile_does_not_take_a_try_back(operator: User) -> None:
    client = Client()
    client.force_login(operator)
    early, late = client.session, client.session
    assert early.get("tries") == late.get("tries")
    with kept(early):
        early["tries"] = 1
    with kept(late):
        late["draft"] = "hello"
    assert (client.session["tries"], client.session["draft"], late.modified) == (1, "hello", False)


def test_a_session_that_is_over_is_not_written_again(operator: User) -> None:
    client = Client()
    client.force_login(operator)
    session = client.session
    client.logout()
    with pytest.raises(SessionInterrupted), kept(session):
        pytest.fail("it is over")

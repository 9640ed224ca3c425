"""Making tokens, and revoking them, on the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from migrations_app import tokens
from migrations_app.models import ApiToken, AuditEvent
from tests.admin.pages import page, send

pytestmark = pytest.mark.django_db

ADD, LIST, REVOKE = (f"migrations_app_apitoken_{name}" for name in ("add", "changelist", "revoke"))


def wanted(user: User, **more: Any) -> dict[str, Any]:
    return {"user": user.pk, "name": "ci", "scopes": ["read"], "until": f"{datetime.now(UTC):%Y-%m-%d}", **more}


def secret_of(response: Any) -> str:
    _, _, rest = response.content.decode().partition("<code>mvt_")
    return f"mvt_{rest.partition('<')[0]}"


def test_the_secret_of_a_new_token_is_shown_once(operator: User) -> None:
    client = Client()
    client.force_login(operator)
    made = client.post(reverse(f"admin:{ADD}"), wanted(operator))
    secret = secret_of(made)
    assert (made.status_code, tokens.caller_of(f"Bearer {secret}", "").user) == (200, operator)
    assert "no-store" in made.headers["Cache-Control"]
    kept = [str(session.get_decoded()) for session in Session.objects.all()]
    assert secret not in "".join(kept)
    assert secret not in str(client.cookies)
    listed = client.get(reverse(f"admin:{LIST}")).content.decode()
    assert secret not in listed
    assert f"{secret[:12]}…" in listed
    token = ApiToken.objects.get()
    assert token.expires_at - datetime.now(UTC) <= timedelta(days=1)
    assert AuditEvent.objects.get().surface == "admin"


def test_what_is_wrong_stands_on_the_form(operator: User) -> None:
    send(operator, ADD, **wanted(operator))
    for change, said in (
        ({}, "has a token ci already"),
        ({"name": "other", "scopes": []}, "This field is required"),
        ({"name": "other", "until": "2020-01-01"}, "is past"),
        ({"name": "other", "until": "9999-12-31"}, "Give an earlier day"),
        ({"name": "a\tb"}, "no control characters"),
    ):
        answer = send(operator, ADD, **wanted(operator, **change))
        assert (answer.status_code, said in answer.content.decode()) == (400, True), change
    assert ApiToken.objects.count() == 1


def test_one_sees_and_revokes_ones_own(operator: User, approver: User) -> None:
    send(operator, ADD, **wanted(operator))
    token = ApiToken.objects.get()
    assert "ci" not in page(approver, LIST).content.decode().partition('id="content"')[2]
    assert send(approver, REVOKE, token.pk).status_code == 404
    assert page(operator, REVOKE, token.pk).status_code == 405
    assert send(operator, REVOKE, token.pk).status_code == 302
    listed = page(operator, LIST).content.decode()
    assert "revoked" in listed
    assert "formaction" not in listed
    assert AuditEvent.objects.latest("id").verb == "revoke_token"


def test_an_admin_makes_one_for_somebody_else_that_approves_nothing(admin: User, operator: User, root: User) -> None:
    refused = send(admin, ADD, **wanted(operator, scopes=["approve"]))
    assert "whoever is to approve" in refused.content.decode()
    assert send(admin, ADD, **wanted(root)).status_code == 400
    assert send(operator, ADD, **wanted(admin)).status_code == 400
    assert not ApiToken.objects.exists()
    assert send(admin, ADD, **wanted(operator)).status_code == 200
    assert ApiToken.objects.get().user == operator
    assert "ci" in page(admin, LIST).content.decode()


def test_a_list_without_tokens_says_so(operator: User) -> None:
    assert "No program acts as you" in page(operator, LIST).content.decode()


def test_markup_in_a_name_stays_text(operator: User) -> None:
    made = send(operator, ADD, **wanted(operator, name="<img src=x>"))
    for answer in (made, page(operator, LIST)):
        assert "<img src=x>" not in answer.content.decode()
        assert "&lt;img src=x&gt;" in answer.content.decode()

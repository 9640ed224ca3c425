"""What a token is good for, until when, and what is kept of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core import serializers
from django.db import IntegrityError, transaction

from migrations_app import actions, audit, tokens
from migrations_app.errors import Forbidden, InvalidInput, NotFound, PortalError, Refused, Unauthorized
from migrations_app.models import ApiToken, AuditEvent
from migrations_app.origin import acting_from
from migrations_app.permissions import SCOPE_OF, Verb
from migrations_app.states import Act, Scope, Status
from tests.people import person
from tests.test_approval import on_paper, waiting

pytestmark = pytest.mark.django_db


def soon() -> datetime:
    return datetime.now(UTC) + timedelta(days=1)


def make(user: User, *scopes: str, by: User | None = None, **wanted: Any) -> tuple[ApiToken, str]:
    fields = {"name": "ci", "scopes": scopes or ["read"], "expires_at": soon(), "acting_user": by or user, **wanted}
    return tokens.make(user=user, **fields)


def caller(secret: str) -> tokens.Caller:
    return tokens.caller_of(f"Bearer {secret}", "192.0.2.7")


def refused(**wanted: Any) -> PortalError:
    with pytest.raises((InvalidInput, Forbidden)) as error:
        make(**wanted)
    assert not ApiToken.objects.exists()
    return error.value


@pytest.fixture
def ann(db: None) -> User:
    return person("ann", "Operator")


def test_a_token_speaks_for_its_user(ann: User) -> None:
    token, secret = make(ann)
    assert (caller(secret).user, caller(secret).token) == (ann, token)
    assert tokens.caller_of(f"bearer  {secret} ", "").user == ann
    assert secret.startswith("mvt_")
    assert len(secret) == 47


def test_the_secret_is_kept_nowhere(ann: User) -> None:
    token, secret = make(ann)
    kept = serializers.serialize("json", [*ApiToken.objects.all(), *AuditEvent.objects.all()])
    assert secret not in kept
    assert secret[13:] not in kept
    assert secret.startswith(token.prefix)


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic dTpw", "Bearer mvt_wrong", "Bearer \udcff", "mvt_x", "Bearer ä\0"]
)
def test_who_shows_no_token_is_nobody(ann: User, header: str | None) -> None:
    make(ann)
    with pytest.raises(Unauthorized) as error:
        tokens.caller_of(header, "192.0.2.7")
    assert (error.value.code, bool(error.value.hint)) == ("unauthorized", True)


@pytest.mark.parametrize("what", ["revoked", "expired", "inactive user", "unknown"])
def test_no_answer_tells_why_a_token_is_good_for_nothing(ann: User, what: str) -> None:
    token, secret = make(ann)
    if what == "revoked":
        tokens.revoke(token_id=token.pk, acting_user=ann)
    elif what == "expired":
        ApiToken.objects.update(expires_at=datetime.now(UTC))
    elif what == "inactive user":
        User.objects.update(is_active=False)
    else:
        secret += "x"
    with pytest.raises(Unauthorized) as error, transaction.atomic():
        caller(secret)
    with pytest.raises(Unauthorized) as other:
        tokens.caller_of(None, "")
    assert str(error.value) == str(other.value)
    assert ApiToken.objects.get().last_used_at is None


def test_every_verb_needs_one_scope() -> None:
    assert set(SCOPE_OF) == set(Verb)
    assert set(SCOPE_OF.values()) == set(Scope)


@pytest.mark.parametrize("scope", Scope)
def test_a_token_is_good_for_the_verbs_of_its_scopes_alone(ann: User, scope: Scope) -> None:
    found = caller(make(ann, scope)[1])
    for verb in Verb:
        assert found.holds(verb) == (SCOPE_OF[verb] == scope)
        if not found.holds(verb):
            with pytest.raises(Forbidden) as error:
                found.require(verb)
            assert (error.value.code, SCOPE_OF[verb] in error.value.reason) == ("scope", True)


def test_its_last_use_is_noted_once_a_minute(ann: User) -> None:
    token, secret = make(ann)
    caller(secret)
    token.refresh_from_db()
    first = token.last_used_at
    assert token.last_used_from == "192.0.2.7"
    tokens.caller_of(f"Bearer {secret}", "198.51.100.1")
    token.refresh_from_db()
    assert (token.last_used_at, token.last_used_from) == (first, "192.0.2.7")
    ApiToken.objects.update(last_used_at=datetime.now(UTC) - timedelta(minutes=2))
    tokens.caller_of(f"Bearer {secret}", "198.51.100.1")
    token.refresh_from_db()
    assert token.last_used_from == "198.51.100.1"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", " "),
        ("name", "x" * 41),
        ("name", "a\nb"),
        ("name", "a\0"),
        ("scopes", []),
        ("scopes", ["read", "root"]),
        ("expires_at", datetime(2020, 1, 1, tzinfo=UTC)),
        ("expires_at", datetime(2999, 1, 1, tzinfo=UTC)),
    ],
)
def test_what_is_wrong_with_a_token_is_named(ann: User, field: str, value: object) -> None:
    error = refused(user=ann, **{field: value})
    assert error.reason.startswith(f"{field}:")
    assert error.hint


def test_a_setting_says_for_how_long_at_most(ann: User, settings: LazySettings) -> None:
    settings.MOVES_TOKEN_DAYS = 7
    assert refused(user=ann, expires_at=datetime.now(UTC) + timedelta(days=8)).code == "invalid_time"
    make(ann, expires_at=datetime.now(UTC) + timedelta(days=6))


def test_a_name_is_given_once(ann: User) -> None:
    make(ann)
    with pytest.raises(InvalidInput, match="name: ann has a token ci"):
        make(ann)
    make(person("ben", "Viewer"))


def test_the_longest_names_fit_the_trail() -> None:
    make(person("u" * 150, "Viewer"), name="n" * 40)
    assert len(AuditEvent.objects.get().target) == 200


def test_a_token_for_somebody_else_is_made_by_who_edits_users_and_never_approves(ann: User) -> None:
    ben, admin, root = person("ben", "Viewer"), person("cleo", "Admin"), User.objects.create_superuser("root")
    assert refused(user=ben, by=ann).code == "forbidden"
    assert refused(user=root, by=admin).code == "forbidden"
    assert refused(user=ben, by=admin, scopes=["approve"]).reason.startswith("scopes:")
    assert refused(user=person("nobody")).code == "forbidden"
    token, _ = make(ben, by=admin)
    assert AuditEvent.objects.get().actor == admin
    assert list(tokens.in_sight(ann)) == []
    assert list(tokens.in_sight(ben)) == list(tokens.in_sight(admin)) == [token]
    assert set(tokens.people_for(ann)) == {ann}
    assert root not in tokens.people_for(admin)
    assert root in tokens.people_for(root)


def test_who_may_not_see_a_token_does_not_revoke_it(ann: User) -> None:
    token, secret = make(person("ben", "Viewer"))
    with pytest.raises(NotFound):
        tokens.revoke(token_id=token.pk, acting_user=ann)
    assert caller(secret)
    tokens.revoke(token_id=token.pk, acting_user=person("cleo", "Admin"))
    assert ApiToken.objects.get().revoked_at


def test_making_and_revoking_are_on_the_trail_once(ann: User) -> None:
    token, _ = make(ann, "request", "read")
    for _ in range(2):
        tokens.revoke(token_id=token.pk, acting_user=ann)
    events = list(AuditEvent.objects.order_by("id").values_list("verb", "target", "actor_name"))
    assert events == [("make_token", "token ci of ann", "ann"), ("revoke_token", "token ci of ann", "ann")]
    assert AuditEvent.objects.earliest("id").reason.startswith("read, request; until ")


@pytest.mark.django_db(transaction=True)
def test_the_trail_with_tokens_on_it_is_whole(ann: User) -> None:
    make(ann)
    assert audit.verify().problems == []


@pytest.mark.parametrize("scopes", [[], ["root"]])
def test_the_database_keeps_to_the_scopes(ann: User, scopes: list[str]) -> None:
    make(ann)
    with pytest.raises(IntegrityError, match="token_scopes_known"), transaction.atomic():
        ApiToken.objects.update(scopes=scopes)


# -- a second person -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("surface", ["api", "mcp"])
@pytest.mark.parametrize("asks", [True, False])
def test_policy_says_whether_what_a_token_asks_for_waits(
    monkeypatch: pytest.MonkeyPatch, settings: LazySettings, surface: str, asks: bool
) -> None:
    paper = on_paper(monkeypatch, settings)
    settings.MOVES_TOKENS_FOUR_EYES = asks
    with acting_from(surface, "192.0.2.7, token ci"):
        move = paper.request()
    assert move.status == (Status.AWAITING_APPROVAL if asks else Status.QUEUED)


def test_policy_for_tokens_leaves_people_as_they_were(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> None:
    paper = on_paper(monkeypatch, settings)
    settings.MOVES_TOKENS_FOUR_EYES = False
    with acting_from("admin", "192.0.2.7"):
        move = paper.request()
    assert waiting(move).act == Act.MOVE
    with acting_from("api", "192.0.2.7, token ci"), pytest.raises(Refused) as refused:
        actions.approve(move_id=move.pk, acting_user=paper.ann)
    assert refused.value.code == "own_request"

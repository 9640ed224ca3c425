"""What is wrong with a request is told in one shape, with what to do about it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from django.conf import LazySettings
from django.db import OperationalError
from django.test import Client

from migrations_app import actions, queries
from migrations_app.models import AppMigration
from tests.api.caller import Caller
from tests.test_permissions import World

pytestmark = pytest.mark.django_db

SHAPE = {"error", "reason", "hint"}
MOVE = "/apps/ours-shop/move"


def told(answer: Any) -> tuple[int, str]:
    said = answer.json()
    assert set(said) >= SHAPE, said
    assert said["reason"].endswith((".", "…"))
    assert said["hint"]
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status_code, said["error"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer mvt_x"}, {"Authorization": "Basic dTpw"}])
@pytest.mark.parametrize("path", ["regions", "apps/ours-shop", f"apps/ours-shop/migrations/{UUID(int=7)}", "audit"])
def test_nobody_is_let_in_without_a_token(here: World, headers: dict[str, str], path: str) -> None:
    answer = Client().get(f"/v1/{path}", headers=headers)
    assert told(answer) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_login_of_the_console_is_no_token(here: World) -> None:
    client = Client()
    admin = here.people["Admin"]
    assert admin
    client.force_login(admin)
    assert told(client.get("/v1/regions")) == (401, "unauthorized")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/apps/ours-shop/migrations/7", 404, "not_found"),
        ("GET", "/apps/%00", 400, "bad_request"),
        ("GET", "/apps/Ours_Shop", 404, "unknown_app"),
        ("PUT", "/regions", 405, "method_not_allowed"),
        ("GET", MOVE, 405, "method_not_allowed"),
        ("DELETE", "/source-replicas", 405, "method_not_allowed"),
    ],
)
def test_what_is_no_call_is_told_in_the_same_shape(
    operator: Caller, method: str, path: str, status: int, code: str
) -> None:
    answer = operator.client.generic(method, f"/v1{path}", headers=operator.headers)
    assert told(answer) == (status, code)
    assert (status == 405) == ("Allow" in answer.headers)


@pytest.mark.parametrize(
    ("body", "status", "code", "field"),
    [
        ("{", 400, "invalid_json", None),
        ("\xff", 400, "invalid_json", None),
        ('{"dest_region": ' + "1" * 5000 + "}", 400, "invalid_json", None),
        ("[" * 50_000, 400, "invalid_json", None),
        ("[]", 422, "invalid", "the body"),
        ("null", 422, "invalid", "the body"),
        ({"dest_region": "eu-west-1", "dest": 1}, 422, "unknown_field", "dest"),
        ({"dest_region": "eu-west-1", "reason": 5}, 422, "invalid", "reason"),
        ({"dest_region": "eu-west-1", "reason": "a\0b"}, 422, "invalid", "reason"),
        ('{"dest_region": "eu-west-1", "reason": "\\ud800"}', 422, "invalid", "reason"),
        ({"dest_region": "eu-west-1", "reason": "x" * 2001}, 422, "invalid", "reason"),
        ({"dest_region": "eu-west-1", "strategy": "magic"}, 422, "invalid", "strategy"),
        ({"dest_region": "eu-west-1", "not_before": "2030-01-01T00:00:00"}, 422, "invalid", "not_before"),
        ({"dest_region": "eu-west-1", "not_before": "9999-12-31T23:59:59-23:59"}, 422, "invalid", "not_before"),
        ({"dest_region": "eu-west-1", "not_before": 1900000000}, 422, "invalid", "not_before"),
        ({"dest_region": "eu-west-1", "not_before": "2020-01-01T00:00:00Z"}, 400, "invalid_time", None),
    ],
)
def test_a_body_that_cannot_be_meant_is_refused(
    operator: Caller, body: Any, status: int, code: str, field: str | None
) -> None:
    answer = operator.post(MOVE, body.encode("latin-1") if isinstance(body, str) else body)
    assert told(answer) == (status, code)
    if field:
        assert answer.json()["fields"][0]["field"] == field
        assert answer.json()["reason"].startswith(f"{field}: ")
    assert not AppMigration.objects.exists()


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("colour=red", 422, "unknown_parameter"),
        ("limit=0", 422, "invalid"),
        ("limit=201", 422, "invalid"),
        ("limit=" + "9" * 400, 422, "invalid"),
        ("status=odd", 422, "invalid"),
        ("app=A", 422, "invalid"),
        ("app=a%00", 400, "bad_request"),
        ("cursor=x", 400, "invalid_cursor"),
        ("cursor=%FF", 400, "invalid_cursor"),
        ("cursor=WyJhIiwgImIiXQ", 400, "invalid_cursor"),
        ("cursor=W10", 400, "invalid_cursor"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(operator: Caller, query: str, status: int, code: str) -> None:
    assert told(operator.get(f"/migrations?{query}")) == (status, code)


def test_a_call_without_parameters_takes_none(operator: Caller) -> None:
    assert told(operator.get("/regions?limit=1")) == (422, "unknown_parameter")
    assert told(operator.post(f"{MOVE}?dry_run=true", {"dest_region": "eu-west-1"})) == (422, "unknown_parameter")


def test_a_body_that_is_too_long_is_not_read(operator: Caller) -> None:
    assert told(operator.post(MOVE, {"reason": "x" * 1_000_000})) == (413, "too_large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_a_body_is_json(operator: Caller, kind: str) -> None:
    answer = operator.client.post(f"/v1{MOVE}", data="a=b", content_type=kind, headers=operator.headers)
    assert told(answer) == (415, "not_json")


def test_a_body_may_be_left_out_where_nothing_has_to_be_said(operator: Caller) -> None:
    move_id = operator.post(MOVE, {"dest_region": "eu-west-1"}).json()["migration_id"]
    path = f"/v1/apps/ours-shop/migrations/{move_id}/abort"
    assert operator.client.generic("POST", path, headers=operator.headers).status_code == 200


def test_a_token_has_so_many_requests_a_minute(
    operator: Caller, here: World, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migrations_app.api.rate.time.time", lambda: 1_900_000_017.0)
    settings.MOVES_TOKEN_REQUESTS_PER_MINUTE = 2
    admin = here.people["Admin"]
    assert admin
    other = Caller(admin)
    assert [operator.get("/regions").status_code for _ in range(2)] == [200, 200]
    answer = operator.get("/regions")
    assert (told(answer), answer.headers["Retry-After"]) == ((429, "too_many_requests"), "3")
    assert other.get("/regions").status_code == 200


def test_nobody_is_kept_out_while_redis_is_away(operator: Caller, settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:9"
    settings.MOVES_TOKEN_REQUESTS_PER_MINUTE = 0
    assert operator.post(MOVE, {"dest_region": "eu-west-1"}).status_code == 202


def test_a_database_that_does_not_answer_is_said_to_be_away(operator: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("server closed the connection")

    monkeypatch.setattr(queries, "active_move", away)
    answer = operator.get("/apps/ours-shop/migrations/active")
    assert (told(answer), answer.headers["Retry-After"]) == ((503, "portal_database_away"), "5")


def test_a_race_that_the_database_ended_is_a_change_meanwhile(
    operator: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deadlock(*args: object, **kwargs: object) -> None:
        raise OperationalError("deadlock detected") from psycopg.errors.DeadlockDetected()

    monkeypatch.setattr(actions, "request_move", deadlock)
    answer = operator.post(MOVE, {"dest_region": "eu-west-1"})
    assert (told(answer), answer.json()["code"]) == ((409, "ineligible"), "changed_meanwhile")
    assert answer.headers["Retry-After"] == "1"


def test_a_fault_of_the_portal_tells_nothing_of_its_inside(operator: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("the inside")

    monkeypatch.setattr(queries, "active_move", fail)
    answer = operator.get("/apps/ours-shop/migrations/active")
    assert told(answer) == (500, "internal")
    assert b"the inside" not in answer.content


def test_the_document_names_every_call_and_the_page_shows_it(db: None) -> None:
    client = Client()
    document = client.get("/v1/openapi.json").json()
    page = client.get("/v1/docs")
    text = page.content.decode()
    assert page.status_code == 200
    assert "<script" not in text.partition("<body")[2].replace('<script src="/static/', "")
    for path, calls in document["paths"].items():
        for method in calls:
            assert f"{method.upper()} {path}" in text

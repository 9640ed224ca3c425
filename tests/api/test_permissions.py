"""Who may do what over the API: each call, by each role, on one's own team's app and another's, with each scope.

The roles are the matrix of tests/test_permissions.py. Each call is made on a thing that the rules allow it for, so that
only rights and scopes decide.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import transaction

from migrations_app import preview
from migrations_app.api.site import api
from migrations_app.models import AppMigration
from migrations_app.permissions import SCOPE_OF, Verb
from migrations_app.states import Scope, Status
from tests import on_paper
from tests.api.caller import Caller
from tests.people import ROLES, team
from tests.test_permissions import SIDES, World, everything, reach

pytestmark = pytest.mark.django_db

STAFF = (*ROLES, "superuser", "nobody")
Made = Callable[[World, str], AppMigration]


@dataclass(frozen=True)
class Call:
    """`ok`: what it answers who may. `hides`: it is about an app's thing, which is 404 where it is not in sight."""

    verb: Verb
    ok: int = 200
    body: dict[str, Any] | None = None
    hides: bool = True
    made: Made | None = None


def held(here: World, side: str) -> AppMigration:
    return on_paper.move(here.apps[side], status=Status.HELD)


def running(here: World, side: str) -> AppMigration:
    return on_paper.move(here.apps[side], status=Status.RUNNING)


def waiting(here: World, side: str) -> AppMigration:
    return here.move(side, Status.AWAITING_APPROVAL)


def completed(here: World, side: str) -> AppMigration:
    return here.move(side, Status.COMPLETED)


WANTED = {"dest_region": "eu-west-1"}
MOVE = "/apps/{app_id}/migrations/{migration_id}"
CALLS = {
    "GET /regions": Call(Verb.VIEW, hides=False),
    "GET /regions/{region}": Call(Verb.VIEW, hides=False),
    "GET /apps/{app_id}": Call(Verb.VIEW),
    "POST /apps/{app_id}/move": Call(Verb.REQUEST, 202, WANTED),
    "POST /apps/{app_id}/move/preview": Call(Verb.REQUEST, 200, WANTED),
    "GET /apps/{app_id}/migrations/active": Call(Verb.VIEW),
    f"GET {MOVE}": Call(Verb.VIEW, made=completed),
    f"GET {MOVE}/steps": Call(Verb.VIEW, made=completed),
    f"GET {MOVE}/preflight": Call(Verb.VIEW, made=completed),
    f"GET {MOVE}/verification": Call(Verb.VIEW, made=completed),
    f"GET {MOVE}/approvals": Call(Verb.VIEW, made=completed),
    f"GET {MOVE}/audit": Call(Verb.VIEW, made=completed),
    f"POST {MOVE}/abort": Call(Verb.ABORT, made=running),
    f"POST {MOVE}/retry": Call(Verb.RETRY, made=held),
    f"POST {MOVE}/reverse": Call(Verb.REVERSE, 202, made=completed),
    f"POST {MOVE}/approve": Call(Verb.APPROVE, made=waiting),
    f"POST {MOVE}/reject": Call(Verb.REJECT, body={"reason": "no"}, made=waiting),
    # Somebody else's request: who may withdraw at all is told so.
    f"POST {MOVE}/withdraw": Call(Verb.WITHDRAW, 409, made=waiting),
    f"POST {MOVE}/comment": Call(Verb.COMMENT, body={"text": "well"}, made=completed),
    "DELETE /source-replicas/{migration_id}": Call(Verb.TEARDOWN, 202, made=completed),
}
LISTS = {"GET /apps": "apps", "GET /migrations": "migrations", "GET /source-replicas": "source_replicas"}


@pytest.fixture
def world_of_calls(here: World, settings: LazySettings, monkeypatch: pytest.MonkeyPatch) -> World:
    settings.MOVES_FOUR_EYES = frozenset({"move"})
    settings.MOVES_TOKEN_REQUESTS_PER_MINUTE = 100_000
    shown = {"app_id": "", "source_region": "", "dest_region": "", "strategy": "snapshot", "strategy_reason": ""}
    plan = {**shown, "ok": True, "estimate": {}, "estimates": {}, "steps": [], "preflight": []}
    monkeypatch.setattr(preview, "of_draft", lambda row: plan)
    return here


def caller_for(here: World, who: str) -> Caller:
    """With every scope. Who has no role has a token from when there was one."""
    user = here.people[who]
    assert user
    if who == "nobody":
        user.groups.add(team("Viewer"))
    caller = Caller(user)
    if who == "nobody":
        user.groups.remove(team("Viewer"))
    return caller


def expected(who: str, side: str, call: Call) -> int:
    """By the matrix alone."""
    if call.hides and side not in reach(who, "view"):
        return 404
    if not reach(who, call.verb) or (call.hides and side not in reach(who, call.verb)):
        return 403
    return call.ok


def ask(caller: Caller, name: str, here: World, side: str) -> Any:
    """Make the call on a thing of that side, and take back what it did."""
    method, path = name.split()
    call = CALLS[name]
    with transaction.atomic():
        move = call.made(here, side) if call.made else None
        before = everything()
        url = path.format(app_id=here.apps[side].slug, migration_id=move and move.pk, region="us-east-1")
        answer = (
            {"GET": caller.get, "DELETE": caller.delete}[method](url)
            if method != "POST"
            else caller.post(url, call.body)
        )
        assert answer.status_code < 400 or everything() == before, name
        transaction.set_rollback(True)
    return answer


def test_every_call_has_a_row() -> None:
    paths: dict[str, Any] = api.get_openapi_schema()["paths"]
    found = {f"{method.upper()} {path.removeprefix('/v1')}" for path, calls in paths.items() for method in calls}
    assert found == {*CALLS, *LISTS, "GET /audit"}


@pytest.mark.parametrize("who", STAFF)
def test_every_call_keeps_to_the_matrix(world_of_calls: World, who: str) -> None:
    caller = caller_for(world_of_calls, who)
    got = {
        (name, side): ask(caller, name, world_of_calls, side).status_code
        for name, side in product(CALLS, SIDES)
        if CALLS[name].hides or side == "own"
    }
    wanted = {(name, side): expected(who, side, CALLS[name]) for name, side in got}
    assert {key: status for key, status in got.items() if status != wanted[key]} == {}


@pytest.mark.parametrize("who", STAFF)
def test_lists_hold_what_is_in_sight(world_of_calls: World, who: str) -> None:
    caller = caller_for(world_of_calls, who)
    for side in SIDES:
        world_of_calls.move(side, Status.COMPLETED)
    expected_apps = {SIDES[side] for side in reach(who, "view")}
    for name, key in LISTS.items():
        listed = caller.get(name.removeprefix("GET ")).json()[key]
        assert {row["app_id"] for row in listed} == expected_apps, name
    targets = {event["target"] for event in caller.get("/audit").json()["events"] if event["migration_id"]}
    assert {target.split()[1] for target in targets} <= expected_apps


def test_every_call_needs_its_scope_and_no_other(world_of_calls: World) -> None:
    user = world_of_calls.people["superuser"]
    assert user
    only = {scope: Caller(user, scope) for scope in Scope}
    for name, call in CALLS.items():
        for scope, caller in only.items():
            answer = ask(caller, name, world_of_calls, "own")
            if scope == SCOPE_OF[call.verb]:
                assert answer.status_code == call.ok, (name, scope, answer.content)
            else:
                assert (answer.status_code, answer.json()["error"]) == (403, "scope"), (name, scope)
    for name in (*LISTS, "GET /audit"):
        for scope, caller in only.items():
            status = caller.get(name.removeprefix("GET ")).status_code
            assert status == (200 if scope == Scope.READ else 403), (name, scope)

"""/mcp as a chat assistant sees it: which tools there are, for whom, what they answer and how they say no."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import Client
from mcp import MCPError
from psycopg.errors import AdminShutdown, DeadlockDetected
from pytest_django.live_server_helper import LiveServer

from migrations_app import published, tokens
from migrations_app.models import ApiToken, App, AppMigration, AuditEvent
from migrations_app.states import Scope, Status
from tests import on_paper
from tests.api.assistant import Assistant, token_of
from tests.people import person

READERS = {"list_regions", "move_app_status", "manage_migrations"}
EVERY_TOOL = READERS | {"move_app", "teardown_source_replica"}
A_MOVE = {
    *("migration_id", "app_id", "kind", "strategy", "status", "current_step", "step_started_at", "progress"),
    *("retry_count", "last_error", "source_region", "dest_region", "source_replica_state"),
    *("initiated_at", "completed_at"),
}
A_REPLICA = {
    *("migration_id", "app_id", "source_region", "dest_region", "completed_at"),
    *("state", "size_bytes", "estimated_monthly_cost_usd"),
}
Call = tuple[str, dict[str, str]]
NOBODYS = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def olga(live_server: LiveServer) -> User:
    return person("olga", "Operator")


@pytest.fixture
def assistant(live_server: LiveServer, olga: User) -> Assistant:
    """Of an operator, with every scope."""
    return Assistant(live_server.url, token_of(olga))


@pytest.fixture
def shop(olga: User) -> App:
    on_paper.region("eu-west-1")
    return on_paper.app("shop")


def test_there_are_five_tools_with_their_arguments(assistant: Assistant) -> None:
    def arguments(schema: dict[str, Any]) -> tuple[list[str], list[str]]:
        assert schema["additionalProperties"] is False
        return list(schema["properties"]), schema.get("required", [])

    tools = assistant.tools()
    assert {name: arguments(tool.input_schema) for name, tool in tools.items()} == {
        "list_regions": ([], []),
        "move_app": (["app_id", "dest_region"], ["app_id", "dest_region"]),
        "move_app_status": (["app_id", "migration_id"], ["app_id", "migration_id"]),
        "manage_migrations": (["action", "app_id", "migration_id"], ["action"]),
        "teardown_source_replica": (["migration_id"], ["migration_id"]),
    }
    verbs = tools["manage_migrations"].input_schema["properties"]["action"]
    assert (verbs["type"], set(verbs["enum"])) == ("string", {"get_active", "abort", "reverse", "list_source_replicas"})
    assert all(tool.description and (tool.output_schema or {})["type"] == "object" for tool in tools.values())


def test_a_tool_says_what_it_may_do_to_the_world(assistant: Assistant) -> None:
    hints = {
        name: (of.read_only_hint, of.destructive_hint, of.idempotent_hint, of.open_world_hint)
        for name, tool in assistant.tools().items()
        if (of := tool.annotations)
    }
    assert hints == {
        "list_regions": (True, False, True, False),
        "move_app": (False, True, False, False),
        "move_app_status": (True, False, True, False),
        "manage_migrations": (False, True, False, False),
        "teardown_source_replica": (False, True, True, False),
    }


def test_tools_are_hidden_that_the_token_may_not_use(live_server: LiveServer) -> None:
    def shown(role: str, *scopes: str) -> set[str]:
        user = person(f"user-{role}-{'-'.join(scopes)}", role)
        return set(Assistant(live_server.url, token_of(user, *scopes)).tools())

    assert shown("Operator", *Scope) == EVERY_TOOL
    assert shown("Operator", "read") == READERS
    assert shown("Operator", "read", "request") == READERS | {"move_app"}
    assert shown("Operator", "operate") == {"teardown_source_replica"}
    assert shown("Requester", *Scope) == READERS | {"move_app"}
    assert shown("Approver", *Scope) == READERS
    assert shown("Viewer", *Scope) == READERS


def test_a_hidden_tool_does_nothing_when_it_is_called_all_the_same(
    live_server: LiveServer, olga: User, shop: App
) -> None:
    done = on_paper.completed(shop)
    reader = Assistant(live_server.url, token_of(olga, "read"))
    calls: list[Call] = [
        ("move_app", {"app_id": "shop", "dest_region": "us-east-1"}),
        ("teardown_source_replica", {"migration_id": str(done.pk)}),
    ]
    for tool, arguments in calls:
        with pytest.RaisesGroup(MCPError, flatten_subgroups=True) as refusal:
            reader.call(tool, **arguments)
        assert f"Unknown tool: '{tool}'" in str(refusal.value.exceptions)
    done.source_replica.refresh_from_db()
    assert (AppMigration.objects.count(), done.source_replica.state) == (1, "retained")


def test_a_reader_is_refused_abort_and_reverse_and_told_why(live_server: LiveServer, olga: User, shop: App) -> None:
    move = on_paper.move(shop, status=Status.QUEUED)
    reader = Assistant(live_server.url, token_of(olga, "read", name="for reading"))
    for action in ("abort", "reverse"):
        told = reader.refused("manage_migrations", action=action, migration_id=str(move.pk))
        assert "Code: scope" in told
        assert "for reading" in told
        assert "operate" in told
    viewer = Assistant(live_server.url, token_of(person("vera", "Viewer", "team-a")))
    told = viewer.refused("manage_migrations", action="abort", migration_id=str(move.pk))
    assert "Refused: vera may not abort the move" in told
    assert "Code: forbidden" in told
    move.refresh_from_db()
    assert move.status == Status.QUEUED


# -- Without a good token ----------------------------------------------------------------------------------------------


def test_without_a_good_token_nobody_gets_in(live_server: LiveServer, olga: User) -> None:
    secret = token_of(olga)
    assert ask("tools/list", token=secret).status_code == 200
    tokens.revoke(token_id=ApiToken.objects.get().pk, acting_user=olga)
    for token in ("", "nonsense", secret):
        answer = ask("tools/list", token=token)
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized")
        assert answer.json()["hint"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        with pytest.RaisesGroup(MCPError, flatten_subgroups=True):
            Assistant(live_server.url, token).tools()


def test_pages_of_other_sites_are_kept_out(olga: User) -> None:
    """Rebinding a name of theirs to our address would make a browser their way in."""
    assert ask("tools/list", token=token_of(olga), Origin="https://evil.example").status_code == 403


def test_a_token_that_asks_too_often_is_told_when_to_come_back(olga: User, settings: LazySettings) -> None:
    settings.MOVES_TOKEN_REQUESTS_PER_MINUTE = 0
    answer = ask("tools/list", token=token_of(olga))
    assert (answer.status_code, answer.json()["error"]) == (429, "too_many_requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60


def test_what_is_no_message_is_refused_in_the_shape_of_the_api(olga: User) -> None:
    token = token_of(olga)
    answers = {
        405: Client().get("/mcp", headers={"Authorization": f"Bearer {token}"}),
        413: ask("tools/list", {"padding": "x" * 1_000_000}, token=token),
        415: ask("tools/list", token=token, content_type="text/plain"),
    }
    for status, answer in answers.items():
        assert answer.status_code == status
        assert answer.json().keys() == {"error", "reason", "hint"}
    assert answers[405].headers["Allow"] == "POST"


def test_what_is_no_json_rpc_is_said_to_be_none(olga: User) -> None:
    headers = {"Authorization": f"Bearer {token_of(olga)}"}
    for body in (b"", b"{", b"[]", b"\xff", b'{"jsonrpc": "2.0", "method": 1}', b'{"a": "\\ud800"}', b"[" * 100_000):
        answer = Client().post("/mcp", body, "application/json", headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error"]["code"] in (-32700, -32600)


# -- What the tools answer ---------------------------------------------------------------------------------------------


def test_the_regions_by_name(assistant: Assistant, shop: App) -> None:
    assert assistant.call("list_regions") == {"regions": ["eu-west-1", "us-east-1"]}


def test_a_move_is_asked_for_in_the_tokens_name(assistant: Assistant, olga: User, shop: App) -> None:
    asked = assistant.call("move_app", app_id="shop", dest_region="eu-west-1")
    move = AppMigration.objects.get()
    assert asked == {"migration_id": str(move.pk), "status": "queued"}
    assert (move.requested_by, move.strategy) == (olga, "snapshot")
    event = AuditEvent.objects.get(migration=move)
    assert (event.surface, event.address, event.actor) == ("mcp", "127.0.0.1, token assistant", olga)
    assert event.reason == "Asked for by MCP, with the token assistant of olga."


def test_a_move_in_the_shape_of_the_api(assistant: Assistant, shop: App) -> None:
    move = on_paper.move(shop, status=Status.RUNNING, current_step="copying_blobs", last_error="The store is away.")
    told = assistant.call("move_app_status", app_id="shop", migration_id=str(move.pk))
    assert set(told) == A_MOVE
    assert (told["migration_id"], told["status"], told["last_error"]) == (str(move.pk), "running", "The store is away.")
    assert assistant.call("manage_migrations", action="get_active", app_id="shop") == {"migration": told}


def test_the_replicas_of_all_apps_or_of_one(assistant: Assistant, shop: App) -> None:
    of_shop, of_page = on_paper.completed(shop), on_paper.completed(on_paper.app("page"))
    listed = assistant.call("manage_migrations", action="list_source_replicas")["source_replicas"]
    assert {replica["migration_id"] for replica in listed} == {str(of_shop.pk), str(of_page.pk)}
    (told,) = assistant.call("manage_migrations", action="list_source_replicas", app_id="shop")["source_replicas"]
    assert told["migration_id"] == str(of_shop.pk)
    assert set(told) == A_REPLICA


def test_a_move_that_has_not_begun_is_aborted_at_once(assistant: Assistant, shop: App) -> None:
    move = on_paper.move(shop, status=Status.QUEUED)
    told = assistant.call("manage_migrations", action="abort", app_id="shop", migration_id=str(move.pk))
    assert told == {"migration_id": str(move.pk), "status": "aborted"}


def test_a_teardown_is_done_once_and_waits_where_policy_says_so(
    assistant: Assistant, shop: App, settings: LazySettings
) -> None:
    done = on_paper.completed(shop)
    settings.MOVES_FOUR_EYES = frozenset({"teardown"})
    assert assistant.call("teardown_source_replica", migration_id=str(done.pk)) == {"status": "awaiting_approval"}
    assert assistant.call("teardown_source_replica", migration_id=str(done.pk)) == {"status": "awaiting_approval"}
    done.approvals.all().delete()
    settings.MOVES_TOKENS_FOUR_EYES = False
    for _ in range(2):
        assert assistant.call("teardown_source_replica", migration_id=str(done.pk)) == {"status": "tearing_down"}
    assert AuditEvent.objects.filter(verb="teardown").count() == 1


def test_an_abort_that_waits_for_a_second_person_says_so(
    assistant: Assistant, shop: App, settings: LazySettings
) -> None:
    move = on_paper.move(shop, status=Status.QUEUED)
    settings.MOVES_FOUR_EYES = frozenset({"abort"})
    told = assistant.call("manage_migrations", action="abort", migration_id=str(move.pk))
    assert told == {"migration_id": str(move.pk), "status": "queued", "awaiting_approval": "abort"}
    again = assistant.refused("manage_migrations", action="abort", migration_id=str(move.pk))
    assert "Code: already_asked" in again
    assert "No tool approves" in again


# -- Refusals ----------------------------------------------------------------------------------------------------------


def test_a_second_move_is_refused_with_the_id_of_the_one_under_way(assistant: Assistant, shop: App) -> None:
    first = assistant.call("move_app", app_id="shop", dest_region="eu-west-1")["migration_id"]
    told = assistant.refused("move_app", app_id="shop", dest_region="eu-west-1")
    assert first in told
    assert "Code: move_active" in told
    assert 'manage_migrations(action="get_active", app_id="shop")' in told
    assert AppMigration.objects.count() == 1


def test_every_refusal_has_its_code_and_says_what_to_do_next(assistant: Assistant, shop: App) -> None:
    on_paper.region("closed-1", accepts_moves=False)
    pivoted = on_paper.move(on_paper.app("page"), status=Status.RUNNING, pivot_at=Now())
    begun = on_paper.move(on_paper.app("blog"), status=Status.RUNNING)
    done = on_paper.completed(on_paper.app("wiki"))
    gone = on_paper.completed(on_paper.app("chat"))
    type(gone.source_replica).objects.filter(pk=gone.source_replica.pk).update(state="torn_down")
    failed = on_paper.move(on_paper.app("mail"), status=Status.FAILED)

    def move_app(app: str, dest: str) -> Call:
        return "move_app", {"app_id": app, "dest_region": dest}

    def manage(action: str, **ids: str) -> Call:
        return "manage_migrations", {"action": action, **ids}

    def tear_down(move: str) -> Call:
        return "teardown_source_replica", {"migration_id": move}

    def status(app: str, move: str) -> Call:
        return "move_app_status", {"app_id": app, "migration_id": move}

    expected: list[tuple[str, Call, str]] = [
        ("unknown_app", move_app("nope", "eu-west-1"), "exact name"),
        ("unknown_app", status("nope", NOBODYS), "exact name"),
        ("unknown_app", manage("get_active", app_id="nope"), "exact name"),
        ("unknown_app", manage("list_source_replicas", app_id="nope"), "exact name"),
        ("invalid_region", move_app("shop", "atlantis"), "list_regions()"),
        ("same_region", move_app("shop", "us-east-1"), "list_regions()"),
        ("invalid_region", move_app("shop", "closed-1"), "list_regions()"),
        ("replica_retained", move_app("wiki", "us-east-1"), str(done.pk)),
        ("unknown_migration", status("shop", NOBODYS), 'get_active", app_id="shop"'),
        ("unknown_migration", status("shop", "7"), 'get_active", app_id="shop"'),
        ("unknown_migration", status("shop", str(begun.pk)), 'get_active", app_id="shop"'),
        ("unknown_migration", manage("abort", migration_id=NOBODYS), "list_source_replicas"),
        ("unknown_migration", manage("abort", app_id="shop", migration_id=str(begun.pk)), "get_active"),
        ("past_pivot", manage("abort", migration_id=str(pivoted.pk)), f'"reverse", migration_id="{pivoted.pk}"'),
        ("not_abortable", manage("abort", migration_id=str(done.pk)), "move_app_status("),
        ("not_completed", manage("reverse", migration_id=str(begun.pk)), "Abort it instead"),
        ("replica_torn_down", manage("reverse", migration_id=str(gone.pk)), "move_app"),
        ("no_replica", tear_down(str(failed.pk)), "list_source_replicas"),
        ("invalid", manage("get_active"), "get_active needs it"),
        ("invalid", manage("abort"), "abort needs it"),
        ("invalid", manage("get_active", app_id="shop", migration_id=NOBODYS), "Leave it out"),
        ("invalid", manage("list_source_replicas", migration_id=NOBODYS), "Leave it out"),
        ("unknown_app", move_app("sh\0op", "eu-west-1"), "exact name"),
        ("invalid_region", move_app("shop", "eu\0west"), "list_regions()"),
        ("unknown_migration", manage("abort", migration_id="\0"), "list_source_replicas"),
    ]
    answers = assistant.refusals(call for _, call, _ in expected)
    for told, (code, _, remedy) in zip(answers, expected, strict=True):
        refused, named, following = told.split("\n", 2)
        assert refused.startswith("Refused: "), told
        assert named == f"Code: {code}", told
        assert following.startswith("Next: "), told
        assert remedy in following, told


def test_arguments_that_do_not_fit_are_named(assistant: Assistant) -> None:
    expected: dict[str, tuple[str, dict[str, Any]]] = {
        "`dest_region`": ("move_app", {"app_id": "shop"}),
        "`force`": ("move_app", {"app_id": "shop", "dest_region": "eu-west-1", "force": True}),
        "`$.action`": ("manage_migrations", {"action": "cancel"}),
        "`$.migration_id`": ("teardown_source_replica", {"migration_id": 7}),
    }
    for told, name in zip(assistant.refusals(expected.values()), expected, strict=True):
        assert name in told


def test_a_database_that_is_away_before_any_tool_is_told_as_the_api_tells_it(
    olga: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OperationalError

    secret = token_of(olga)
    monkeypatch.setattr(tokens, "caller_of", fail)
    answer = ask("tools/list", token=secret)
    assert (answer.status_code, answer.json()["error"]) == (503, "portal_database_away")
    assert answer.headers["Retry-After"]


@pytest.mark.parametrize(
    ("cause", "code"), [(DeadlockDetected(), "changed_meanwhile"), (AdminShutdown(), "portal_database_away")]
)
def test_a_database_that_fails_is_told_like_any_refusal(
    assistant: Assistant, shop: App, monkeypatch: pytest.MonkeyPatch, cause: Exception, code: str
) -> None:
    def fail(*args: object) -> None:
        raise OperationalError from cause

    move = on_paper.move(shop)
    monkeypatch.setattr(published, "describe_move", fail)
    assert f"Code: {code}" in assistant.refused("move_app_status", app_id="shop", migration_id=str(move.pk))


def test_what_another_team_has_is_answered_like_what_was_never_there(live_server: LiveServer, shop: App) -> None:
    move = on_paper.completed(shop)
    rita = Assistant(live_server.url, token_of(person("rita", "Requester", "team-b")))

    def calls(app: str, move: str) -> list[Call]:
        return [
            ("move_app", {"app_id": app, "dest_region": "us-east-1"}),
            ("move_app_status", {"app_id": app, "migration_id": move}),
            *(("manage_migrations", {"action": act, "app_id": app}) for act in ("get_active", "list_source_replicas")),
            *(("manage_migrations", {"action": act, "migration_id": move}) for act in ("abort", "reverse")),
        ]

    theirs, nobodys = rita.refusals(calls("shop", str(move.pk))), rita.refusals(calls("nope", NOBODYS))
    assert [told.replace("shop", "nope").replace(str(move.pk), NOBODYS) for told in theirs] == nobodys
    assert all("Code: unknown_" in told for told in theirs)
    assert rita.call("manage_migrations", action="list_source_replicas") == {"source_replicas": []}


# -- Earlier versions of the protocol ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["2025-11-25", "2025-06-18", "2025-03-26"])
def test_assistants_that_shake_hands_first_are_served(olga: User, shop: App, version: str) -> None:
    secret = token_of(olga)
    headers = {} if version == "2025-03-26" else {"MCP-Protocol-Version": version}  # the first one sends none

    def answer(method: str, params: dict[str, Any]) -> Any:
        return ask(method, params, token=secret, **headers).json()["result"]

    about = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "a test", "version": "1"}}
    assert answer("initialize", about)["protocolVersion"] == version
    assert {tool["name"] for tool in answer("tools/list", {})["tools"]} == EVERY_TOOL
    moved = {"name": "move_app", "arguments": {"app_id": "shop", "dest_region": "eu-west-1"}}
    assert answer("tools/call", moved)["structuredContent"]["status"] == "queued"
    assert "Code: move_active" in answer("tools/call", moved)["content"][0]["text"]


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28"])
def test_the_official_client_in_its_other_modes(assistant: Assistant, shop: App, mode: str) -> None:
    other = Assistant(assistant.url, assistant.secret, mode)
    assert set(other.tools()) == EVERY_TOOL
    assert other.call("move_app", app_id="shop", dest_region="eu-west-1")["status"] == "queued"
    assert "Code: move_active" in other.refused("move_app", app_id="shop", dest_region="eu-west-1")


def ask(
    method: str,
    params: dict[str, Any] | None = None,
    *,
    token: str,
    content_type: str = "application/json",
    **headers: str,
) -> Any:
    """Post one message, as an assistant of 2025 does."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
    of_token = {"Authorization": f"Bearer {token}"} if token else {}
    return Client().post("/mcp", json.dumps(message), content_type, headers={**of_token, **headers})

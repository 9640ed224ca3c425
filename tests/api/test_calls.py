"""What each call answers, in the shapes of DESIGN."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.conf import LazySettings

from migrations_app.models import App, AppMigration, AuditEvent, Region, SourceReplica
from migrations_app.states import ReplicaState, Status
from tests import on_paper
from tests.api.caller import Caller
from tests.test_permissions import World

pytestmark = pytest.mark.django_db

STATUS_FIELDS = [
    *("migration_id", "app_id", "kind", "strategy", "status", "current_step", "step_started_at", "progress"),
    *("retry_count", "last_error", "source_region", "dest_region", "source_replica_state", "initiated_at"),
    "completed_at",
]
REPLICA_FIELDS = [
    *("migration_id", "app_id", "source_region", "dest_region", "completed_at", "state", "size_bytes"),
    "estimated_monthly_cost_usd",
]


def requested(operator: Caller) -> str:
    answer = operator.post("/apps/ours-shop/move", {"dest_region": "eu-west-1"})
    assert answer.status_code == 202, answer.content
    said: str = answer.json()["migration_id"]
    return said


def of(move_id: object) -> str:
    return f"/apps/ours-shop/migrations/{move_id}"


@pytest.fixture
def completed(here: World) -> AppMigration:
    return on_paper.completed(here.apps["own"])


def test_regions_are_listed(operator: Caller) -> None:
    assert operator.get("/regions").json() == {"regions": ["eu-west-1", "us-east-1"]}


def test_a_region_says_whether_it_is_open(operator: Caller) -> None:
    assert operator.get("/regions/us-east-1").json() == {
        "region": "us-east-1",
        "name": "",
        "accepts_moves": True,
        "window": None,
        "apps": 3,
    }
    assert operator.get("/regions/nowhere").json()["error"] == "unknown_region"


def test_apps_tell_their_move_under_way(operator: Caller) -> None:
    move_id = requested(operator)
    ours = {
        "app_id": "ours-shop",
        "team": "team-ours",
        "region": "us-east-1",
        "hostname": "",
        "active_migration_id": move_id,
    }
    assert operator.get("/apps/ours-shop").json() == ours
    listed = operator.get("/apps").json()
    assert ours in listed["apps"]
    assert ([app["app_id"] for app in listed["apps"]], listed["next"]) == (
        ["ours-shop", "stray-shop", "theirs-shop"],
        None,
    )


def test_a_move_is_asked_for_and_looked_at(operator: Caller) -> None:
    answer = operator.post("/apps/ours-shop/move", {"dest_region": "eu-west-1"})
    said = answer.json()
    assert (answer.status_code, sorted(said), said["status"]) == (202, ["migration_id", "status"], "queued")
    assert answer.headers["Retry-After"] == "2"
    status = operator.get(of(said["migration_id"]))
    assert list(status.json()) == STATUS_FIELDS
    assert status.headers["Retry-After"] == "2"
    assert operator.get("/apps/ours-shop/migrations/active").json() == {"migration": status.json()}
    assert AppMigration.objects.get().reason == "No reason was given (API)."


def test_no_move_under_way_is_null(operator: Caller) -> None:
    assert operator.get("/apps/ours-shop/migrations/active").json() == {"migration": None}


def test_what_is_given_with_a_move_is_kept(operator: Caller) -> None:
    start = "2999-01-01T02:00:00+02:00"
    wanted = {"dest_region": "eu-west-1", "strategy": "live", "reason": "closer", "not_before": start}
    assert operator.post("/apps/ours-shop/move", wanted).status_code == 202
    move = AppMigration.objects.get()
    assert (move.strategy, move.reason, f"{move.not_before:%Y-%m-%dT%H:%MZ}") == ("live", "closer", "2999-01-01T00:00Z")


@pytest.mark.parametrize("dest", ["nowhere", "No Region", "", "a\0b", 7, None, ["eu-west-1"], "closed"])
def test_a_destination_that_is_none_is_an_invalid_region(operator: Caller, dest: object) -> None:
    Region.objects.create(slug="closed", database="host=x dbname=postgres", accepts_moves=False)
    answer = operator.post("/apps/ours-shop/move", {"dest_region": dest})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_region")
    assert operator.post("/apps/ours-shop/move", {}).json()["error"] == "invalid_region"
    assert not AppMigration.objects.exists()


def test_a_second_move_is_ineligible(operator: Caller) -> None:
    requested(operator)
    answer = operator.post("/apps/ours-shop/move", {"dest_region": "eu-west-1"})
    said = answer.json()
    assert (answer.status_code, said["error"], said["code"]) == (409, "ineligible", "move_active")
    assert said["reason"]
    assert [blocker["code"] for blocker in said["blockers"]] == ["move_active"]


def test_a_move_to_where_it_is_is_ineligible(operator: Caller) -> None:
    answer = operator.post("/apps/ours-shop/move", {"dest_region": "us-east-1"})
    assert (answer.status_code, answer.json()["code"]) == (409, "same_region")


def test_an_abort_answers_the_status(operator: Caller) -> None:
    move_id = requested(operator)
    answer = operator.post(f"{of(move_id)}/abort")
    assert (answer.status_code, answer.json()) == (200, {"migration_id": move_id, "status": "aborted"})
    assert AuditEvent.objects.latest("id").address.startswith("127.0.0.1, token test ")


def test_an_abort_past_the_pivot_names_the_way_back(operator: Caller, here: World) -> None:
    move = on_paper.move(here.apps["own"], status=Status.RUNNING, pivot_at="2030-01-01T00:00Z")
    answer = operator.post(f"{of(move.pk)}/abort", {"reason": "a test"})
    assert (answer.status_code, answer.json()["code"]) == (409, "past_pivot")
    assert "reverse" in answer.json()["hint"]


def test_an_abort_that_waits_says_so(operator: Caller, here: World, settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"abort"})
    move = on_paper.move(here.apps["own"], status=Status.RUNNING)
    answer = operator.post(f"{of(move.pk)}/abort")
    said = {"migration_id": str(move.pk), "status": "running", "awaiting_approval": "abort"}
    assert (answer.status_code, answer.json()) == (202, said)


def test_a_held_move_goes_on(operator: Caller, here: World) -> None:
    move = on_paper.move(here.apps["own"], status=Status.HELD)
    answer = operator.post(f"{of(move.pk)}/retry", {})
    assert (answer.status_code, answer.json()["status"]) == (200, "running")


def test_a_reverse_answers_its_id_twice(operator: Caller, completed: AppMigration) -> None:
    answer = operator.post(f"{of(completed.pk)}/reverse")
    back = AppMigration.objects.get(kind="reverse")
    assert (answer.status_code, answer.json()) == (
        202,
        {"migrationId": str(back.pk), "migration_id": str(back.pk), "path": "fast"},
    )


def test_a_reverse_without_a_way_back_is_refused(operator: Caller, completed: AppMigration) -> None:
    SourceReplica.objects.update(state=ReplicaState.TORN_DOWN)
    answer = operator.post(f"{of(completed.pk)}/reverse")
    assert (answer.status_code, answer.json()["code"]) == (409, "replica_torn_down")


def test_replicas_are_listed(operator: Caller, completed: AppMigration) -> None:
    (replica,) = operator.get("/source-replicas").json()["source_replicas"]
    assert list(replica) == REPLICA_FIELDS
    assert (replica["state"], replica["size_bytes"]) == ("retained", 5 * 10**9)
    assert (replica["source_region"], replica["dest_region"]) == ("us-east-1", "eu-west-1")


def test_a_teardown_is_asked_for_once_and_says_how_far_it_is(operator: Caller, completed: AppMigration) -> None:
    for _ in range(2):
        answer = operator.delete(f"/source-replicas/{completed.pk}")
        assert (answer.status_code, answer.json()) == (202, {"status": "tearing_down"})
    SourceReplica.objects.update(state=ReplicaState.TORN_DOWN)
    answer = operator.delete(f"/source-replicas/{completed.pk}")
    assert (answer.status_code, answer.json()) == (200, {"status": "torn_down"})
    assert AuditEvent.objects.filter(verb="teardown").count() == 1


def test_a_teardown_that_waits_says_so(operator: Caller, completed: AppMigration, settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"teardown"})
    for _ in range(2):
        answer = operator.delete(f"/source-replicas/{completed.pk}")
        assert (answer.status_code, answer.json()) == (202, {"status": "awaiting_approval"})
    assert completed.approvals.count() == 1


def test_a_reversed_replica_is_not_torn_down(operator: Caller, completed: AppMigration) -> None:
    SourceReplica.objects.update(state=ReplicaState.REVERSED)
    answer = operator.delete(f"/source-replicas/{completed.pk}")
    assert (answer.status_code, answer.json()["code"]) == (409, "replica_reversed")


def test_somebody_else_decides(operator: Caller, here: World, settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"move"})
    admin = here.people["Admin"]
    assert admin
    other = Caller(admin)
    move_id = requested(operator)
    (waiting,) = operator.get(f"{of(move_id)}/approvals").json()["approvals"]
    assert (waiting["act"], waiting["state"], waiting["requested_by"]) == ("move", "open", "operator")
    assert operator.post(f"{of(move_id)}/approve").status_code == 403
    answer = other.post(f"{of(move_id)}/approve", {"seen": "0" * 64})
    assert (answer.status_code, answer.json()["code"]) == (409, "changed_since_seen")
    answer = other.post(f"{of(move_id)}/approve", {"seen": waiting["fingerprint"], "comment": "fine"})
    assert (answer.status_code, answer.json()) == (200, {"migration_id": move_id, "status": "queued"})


def test_one_does_not_approve_ones_own(here: World, settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"move"})
    admin = here.people["Admin"]
    assert admin
    caller = Caller(admin)
    answer = caller.post(f"{of(requested(caller))}/approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "own_request")


@pytest.mark.parametrize(("verb", "body"), [("reject", {"reason": "not now"}), ("withdraw", None)])
def test_a_request_is_turned_down(here: World, settings: LazySettings, verb: str, body: Any) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"move"})
    admin = here.people["Admin"]
    assert admin
    caller = Caller(admin)
    move_id = requested(caller)
    answer = caller.post(f"{of(move_id)}/{verb}", body)
    assert (answer.status_code, answer.json()) == (200, {"migration_id": move_id, "status": "aborted"})


def test_a_comment_is_on_the_trail(operator: Caller) -> None:
    move_id = requested(operator)
    assert operator.post(f"{of(move_id)}/comment", {"text": "wait for <b>me</b>"}).status_code == 200
    events = operator.get(f"{of(move_id)}/audit").json()["events"]
    assert [(event["verb"], event["actor_name"], event["surface"]) for event in events] == [
        ("comment", "operator", "api"),
        ("request", "operator", "api"),
    ]
    assert events[0]["reason"] == "wait for <b>me</b>"


def test_steps_preflight_and_verification_are_told(operator: Caller, completed: AppMigration) -> None:
    findings = [{"id": "PF1", "check": "x", "outcome": "pass", "found": "", "why": "", "remedy": ""}]
    AppMigration.objects.update(preflight=findings, verification={"findings": []})
    steps = operator.get(f"{of(completed.pk)}/steps").json()["steps"]
    assert (len(steps), steps[0]["step"], steps[0]["state"]) == (11, "requested", "pending")
    assert operator.get(f"{of(completed.pk)}/preflight").json() == {"preflight": findings}
    assert operator.get(f"{of(completed.pk)}/verification").json() == {"verification": {"findings": []}}


def test_a_move_of_another_app_is_none(operator: Caller, completed: AppMigration) -> None:
    for slug, move_id in (("theirs-shop", completed.pk), ("ours-shop", uuid4()), ("nowhere", completed.pk)):
        for rest in ("", "/steps", "/audit"):
            answer = operator.get(f"/apps/{slug}/migrations/{move_id}{rest}")
            assert (answer.status_code, answer.json()["error"]) == (404, "unknown_migration")


def test_the_audit_trail_is_filtered(operator: Caller, here: World) -> None:
    requested(operator)
    here.move("other", Status.AWAITING_APPROVAL)
    every = operator.get("/audit").json()["events"]
    assert {event["verb"] for event in every} == {"request", "make_token"}
    assert [event["target"] for event in operator.get("/audit?app=ours-shop").json()["events"]] == [
        "move ours-shop us-east-1 → eu-west-1"
    ]
    assert len(operator.get("/audit?verb=request").json()["events"]) == 2


def test_moves_are_filtered_and_paged(operator: Caller, here: World) -> None:
    for _ in range(5):
        on_paper.move(here.apps["own"], status=Status.ABORTED)
    other = on_paper.move(here.apps["other"], status=Status.FAILED)
    same = AppMigration.objects.latest("initiated_at").initiated_at
    AppMigration.objects.update(initiated_at=same)
    for query, expected in (
        ("", set(AppMigration.objects.values_list("pk", flat=True))),
        ("app=theirs-shop&", {other.pk}),
        ("status=failed&", {other.pk}),
        ("region=eu-west-1&", set(AppMigration.objects.values_list("pk", flat=True))),
        ("region=nowhere&", set()),
        ("kind=reverse&", set()),
    ):
        found, cursor = [], ""
        while True:
            page = operator.get(f"/migrations?{query}limit=2{cursor}").json()
            found += [row["migration_id"] for row in page["migrations"]]
            if page["next"] is None:
                break
            assert len(page["migrations"]) == 2
            cursor = f"&cursor={page['next']}"
        assert sorted(found) == sorted(map(str, expected)), query


def test_apps_are_paged(operator: Caller) -> None:
    first = operator.get("/apps?limit=2").json()
    rest = operator.get(f"/apps?limit=2&cursor={first['next']}").json()
    assert [app["app_id"] for app in first["apps"] + rest["apps"]] == list(
        App.objects.order_by("slug").values_list("slug", flat=True)
    )
    assert rest["next"] is None


def test_what_has_not_changed_is_not_sent_again(operator: Caller) -> None:
    move_id = requested(operator)
    for path in (of(move_id), "/apps/ours-shop/migrations/active"):
        first = operator.get(path)
        again = operator.get(path, **{"If-None-Match": first.headers["ETag"]})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
        assert again.headers["Retry-After"] == "2"
    AppMigration.objects.update(retry_count=1)
    assert operator.get(of(move_id), **{"If-None-Match": first.headers["ETag"]}).status_code == 200

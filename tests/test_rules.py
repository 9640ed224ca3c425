"""What is refused, by the rule and, where a race could slip past it, by the database."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now

from migrations_app import actions
from migrations_app.errors import InvalidInput, NotFound, Refused
from migrations_app.models import App, AppMigration, AuditEvent, Region, SourceReplica
from migrations_app.states import Kind, ReplicaState, Status, Strategy

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def app() -> App:
    for slug in ("us-east-1", "eu-west-1", "ap-south-1"):
        Region.objects.create(slug=slug, database="host=127.0.0.1 dbname=postgres")
    return App.objects.create(slug="shop", database="shop", region=Region.objects.get(slug="us-east-1"))


def request(dest: str = "eu-west-1", app: str = "shop") -> AppMigration:
    return actions.request_move(app_slug=app, dest_slug=dest, acting_user=None, reason="a test")


def completed(app: App, state: ReplicaState = ReplicaState.RETAINED) -> AppMigration:
    """A move that is over, and its replica."""
    dest = Region.objects.get(slug="eu-west-1")
    move = AppMigration.objects.create(
        app=app, source_region=app.region, dest_region=dest, status=Status.COMPLETED, pivot_at=Now()
    )
    SourceReplica.objects.create(migration=move, app=app, region=app.region, state=state)
    App.objects.filter(pk=app.pk).update(region=dest)
    return move


TEARDOWN = {"acting_user": None, "reason": "a test", "confirm": "shop"}


def refusal(act: object, *args: object, **kwargs: object) -> str:
    with pytest.raises(Refused) as caught:
        act(*args, **kwargs)  # type: ignore[operator]
    assert caught.value.reason
    return caught.value.code


def test_a_second_move_while_one_is_active(app: App) -> None:
    request()
    assert refusal(request, "ap-south-1") == "move_active"


def test_a_move_to_the_region_the_app_is_in(app: App) -> None:
    assert refusal(request, "us-east-1") == "same_region"


@pytest.mark.parametrize("slug", ["us-east-1", "eu-west-1"])
def test_a_move_from_or_to_a_closed_region(app: App, slug: str) -> None:
    Region.objects.filter(slug=slug).update(accepts_moves=False)
    assert refusal(request) == "region_closed"


def test_a_move_to_an_unknown_region(app: App) -> None:
    with pytest.raises(InvalidInput, match="no region nowhere") as caught:
        request("nowhere")
    assert caught.value.code == "invalid_region"
    assert "us-east-1" in caught.value.hint


def test_a_move_of_an_unknown_app(app: App) -> None:
    with pytest.raises(NotFound):
        request(app="nothing")


def test_a_new_move_while_the_way_back_is_kept(app: App) -> None:
    completed(app)
    assert refusal(request, "ap-south-1") == "replica_retained"


@pytest.mark.parametrize("seconds", [0, -1, 24 * 3600 + 1])
def test_a_block_budget_that_means_nothing(app: App, seconds: int) -> None:
    with pytest.raises(InvalidInput, match="block_budget_seconds") as refused:
        actions.request_move(
            app_slug="shop", dest_slug="eu-west-1", acting_user=None, reason="a test", block_budget_seconds=seconds
        )
    assert refused.value.code == "invalid_block_budget"


def test_abort_past_the_pivot_names_reverse_as_the_way(app: App) -> None:
    move = request()
    AppMigration.objects.filter(pk=move.pk).update(status=Status.RUNNING, pivot_at=Now())
    with pytest.raises(Refused, match="point of no return") as caught:
        actions.abort(move_id=move.pk, acting_user=None, reason="a test")
    assert "reverse" in caught.value.hint


def test_abort_of_what_is_over(app: App) -> None:
    move = request()
    actions.abort(move_id=move.pk, acting_user=None, reason="a test")
    assert refusal(actions.abort, move_id=move.pk, acting_user=None, reason="a test") == "not_abortable"


def test_reverse_before_completion(app: App) -> None:
    assert refusal(actions.reverse, move_id=request().pk, acting_user=None, reason="a test") == "not_completed"


@pytest.mark.parametrize("state", [ReplicaState.TEARING_DOWN, ReplicaState.TORN_DOWN, ReplicaState.REVERSED])
def test_reverse_and_teardown_once_the_replica_is_gone(app: App, state: ReplicaState) -> None:
    move = completed(app, state)
    assert refusal(actions.reverse, move_id=move.pk, acting_user=None, reason="a test") == f"replica_{state}"
    assert refusal(actions.teardown, move_id=move.pk, **TEARDOWN) == f"replica_{state}"


def test_teardown_while_a_reverse_needs_the_replica(app: App) -> None:
    move = completed(app)
    actions.reverse(move_id=move.pk, acting_user=None, reason="a test")
    assert refusal(actions.teardown, move_id=move.pk, **TEARDOWN) == "move_active"


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        ({"wal_status": "lost"}, "way_back_lost"),
        ({"wal_status": "missing", "problem_code": "region_away"}, "way_back_lost"),
        ({"problem_code": "replica_drifted"}, "replica_drifted"),
    ],
)
def test_a_reverse_that_would_only_end_at_a_step_is_not_begun(app: App, seen: dict[str, str], code: str) -> None:
    move = completed(app)
    SourceReplica.objects.update(**seen, problem="It is in trouble.")
    assert refusal(actions.reverse, move_id=move.pk, acting_user=None, reason="a test") == code


@pytest.mark.parametrize("code", ["replica_lags", "region_away", "replica_stopped", "wal_piles_up", "slot_lost"])
def test_what_may_pass_by_itself_shuts_no_way_back(app: App, code: str) -> None:
    move = completed(app)
    SourceReplica.objects.update(problem_code=code, problem="It is in trouble.", wal_status="unreserved")
    assert actions.reverse(move_id=move.pk, acting_user=None, reason="a test").status == Status.QUEUED


def test_nobody_is_sent_to_reverse_what_cannot_be(app: App) -> None:
    completed(app)
    SourceReplica.objects.update(wal_status="lost")
    with pytest.raises(Refused) as caught:
        request("ap-south-1")
    assert caught.value.code == "replica_retained"
    assert "everse" not in caught.value.hint


def test_teardown_without_the_name_typed(app: App) -> None:
    move = completed(app)
    with pytest.raises(InvalidInput, match="confirm"):
        actions.teardown(move_id=move.pk, acting_user=None, reason="a test", confirm="shp")
    assert SourceReplica.objects.get().state == ReplicaState.RETAINED


@pytest.mark.parametrize("act", [actions.retry, actions.reverse])
def test_a_sentence_names_the_status_in_words(app: App, act: Callable[..., object]) -> None:
    move = request()
    AppMigration.objects.filter(pk=move.pk).update(status=Status.AWAITING_APPROVAL)
    for refused, given in (
        (act, {"move_id": move.pk}),
        (actions.request_move, {"app_slug": "shop", "dest_slug": "ap-south-1"}),
    ):
        with pytest.raises(Refused) as caught:
            refused(**given, acting_user=None, reason="a test")
        assert "is awaiting approval;" in caught.value.reason


def test_retry_of_what_is_not_held(app: App) -> None:
    assert refusal(actions.retry, move_id=request().pk, acting_user=None, reason="a test") == "not_held"


@pytest.mark.parametrize("move_id", [uuid.uuid4(), "no-uuid"])
def test_a_move_nobody_knows(move_id: object) -> None:
    with pytest.raises(NotFound):
        actions.abort(move_id=move_id, acting_user=None, reason="a test")  # type: ignore[arg-type]


def test_a_refusal_leaves_nothing_behind(app: App) -> None:
    refusal(request, "us-east-1")
    assert not AppMigration.objects.exists()
    assert not AuditEvent.objects.exists()


def test_the_form_of_the_admin_refuses_what_the_action_refuses(app: App) -> None:
    with pytest.raises(ValidationError, match="already lives"):
        AppMigration(app=app, source_region=app.region, dest_region=app.region).full_clean()


# -- the database's own word ------------------------------------------------------------------------------------------


def test_the_database_allows_one_active_move_per_app(app: App) -> None:
    request()
    dest = Region.objects.get(slug="ap-south-1")
    with pytest.raises(IntegrityError, match="one_active_move_per_app"), transaction.atomic():
        AppMigration.objects.create(app=app, source_region=app.region, dest_region=dest)


def test_the_database_allows_one_open_replica_per_app(app: App) -> None:
    completed(app, ReplicaState.TORN_DOWN)
    again = completed(app)
    with pytest.raises(IntegrityError, match="one_open_replica_per_app"), transaction.atomic():
        SourceReplica.objects.exclude(migration=again).update(state=ReplicaState.RETAINED)


@pytest.mark.parametrize(
    ("constraint", "fields"),
    [
        ("move_changes_region", {"dest": "us-east-1"}),
        ("no_undo_past_the_pivot", {"status": Status.ABORTING, "pivot_at": Now()}),
        ("completed_passed_the_pivot", {"status": Status.COMPLETED}),
        ("reverse_names_what_it_reverses", {"kind": Kind.REVERSE}),
        ("reverse_names_what_it_reverses", {"strategy": Strategy.REVERSE}),
        ("move_status_known", {"status": "elsewhere"}),
    ],
)
def test_the_database_refuses_rows_that_mean_nothing(app: App, constraint: str, fields: dict[str, object]) -> None:
    dest = Region.objects.get(slug=fields.pop("dest", "eu-west-1"))
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        AppMigration.objects.create(app=app, source_region=app.region, dest_region=dest, **fields)


@pytest.mark.parametrize("conninfo", ["host=db password=x", "host=db PASSWORD = x", "postgres://me:x@db/postgres"])
def test_a_region_never_keeps_a_password(conninfo: str) -> None:
    with pytest.raises(ValidationError, match="PGPASSFILE"):
        Region(slug="r", database=conninfo).full_clean()
    with pytest.raises(IntegrityError, match="region_database_without_password"), transaction.atomic():
        Region.objects.create(slug="r", database=conninfo)


@pytest.mark.parametrize(
    "address",
    [
        {"runtime_url": "http://user:pw@10.2.0.4:9001/RPC2"},
        {"blobs": ":s3,access_key_id=a,secret_access_key=b:"},
        {"runtime_path": "eu-runtime,pass=b:programs"},
    ],
)
def test_a_region_keeps_no_key_in_an_address(address: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"Leave it out|Name a remote"):
        Region(slug="x", database="host=db", **address).full_clean(validate_constraints=False)
    with pytest.raises(IntegrityError, match="region_addresses_without_secrets"), transaction.atomic():
        Region.objects.create(slug="x", database="host=db", **address)


@pytest.mark.parametrize("path", ["eu-west-1:", "eu-runtime:programs/all", "/srv/a,b", "", ":local:/srv"])
def test_a_region_keeps_an_address_without_one(path: str) -> None:
    Region(slug="x", database="host=db", runtime_url="http://10.2.0.4:9001/RPC2", blobs=path).full_clean()


def test_a_region_is_never_deleted(app: App) -> None:
    with pytest.raises(ValidationError):
        app.region.delete()


def test_twenty_requests_at_once_make_one_move(app: App) -> None:
    barrier = threading.Barrier(20)

    def ask(number: int) -> str:
        try:
            barrier.wait(10)
            request("eu-west-1" if number % 2 else "ap-south-1")
        except Refused as refused:
            return refused.code
        finally:
            connection.close()
        return "made"

    with ThreadPoolExecutor(20) as pool:
        answers = sorted(pool.map(ask, range(20)))
    assert answers == ["made"] + ["move_active"] * 19
    assert AppMigration.objects.count() == 1
    assert AuditEvent.objects.filter(verb="request").count() == 1

"""The commands: what they print, and their exit statuses."""

from __future__ import annotations

import io
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from migrations_app.models import App, AppMigration, Region
from migrations_app.states import Status
from tests.conftest import Shop, carry, moved, torn_down
from tests.people import person

pytestmark = pytest.mark.django_db(transaction=True)

WHY = ("--reason", "a test")
README = Path(__file__).resolve().parents[1] / "README.md"


def command(*argv: str) -> tuple[int, str]:
    """`(exit status, standard output)`."""
    out = io.StringIO()
    try:
        call_command(*argv, stdout=out, stderr=io.StringIO())
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def answer(*argv: str) -> tuple[int, Any]:
    status, out = command(*argv, "--json")
    return status, json.loads(out)


@pytest.fixture
def shop_on_paper() -> App:
    """An app on the books whose regions nobody asks."""
    us = Region.objects.create(slug="us-east-1", database="host=us")
    Region.objects.create(slug="eu-west-1", database="host=eu")
    return App.objects.create(slug="shop", database="shop", region=us)


def test_regions_are_listed_with_whether_they_accept_moves(shop_on_paper: App) -> None:
    Region.objects.filter(slug="eu-west-1").update(accepts_moves=False)
    status, listed = answer("list_regions")
    assert (status, listed["regions"]) == (0, ["eu-west-1", "us-east-1"])
    assert "eu-west-1            closed to moves" in command("list_regions")[1]


def test_a_request_prints_its_id_and_status(shop_on_paper: App) -> None:
    ann = person("ann", "Operator")
    status, made = answer("move_app", "shop", "eu-west-1", "--reason", "closer", "--as", "ann")
    move = AppMigration.objects.get()
    assert (status, made) == (0, {"migration_id": str(move.pk), "status": "queued"})
    assert (move.reason, move.requested_by) == ("closer", ann)


@pytest.mark.parametrize(
    ("argv", "status", "code"),
    [
        (["move_app", "shop", "nowhere", *WHY], 3, "invalid_region"),
        (["move_app", "nothing", "eu-west-1"], 3, "unknown_app"),
        (["move_app", "shop", "eu-west-1"], 3, "reason_missing"),
        (["move_app", "shop", "eu-west-1", "--reason", "  "], 3, "reason_missing"),
        (["move_app", "shop", "eu-west-1", *WHY, "--ticket", "javascript:alert(1)"], 3, "invalid_ticket"),
        (["move_app", "shop", "eu-west-1", *WHY, "--not-before", "2020-01-01T00:00Z"], 3, "invalid_time"),
        (["move_app", "shop", "us-east-1", *WHY], 4, "same_region"),
        (["move_app", "shop", "eu-west-1", "--as", "nobody"], 3, "unknown_user"),
        (["move_app", "shop", "eu-west-1", "--strategy", "magic", *WHY], 3, "invalid_strategy"),
        (["move_app", "shop", "eu-west-1", "--not-before", "tomorrow"], 3, "invalid_time"),
        (["move_app", "shop", "eu-west-1", "--not-before", "2030-01-01T00:00"], 3, "invalid_time"),
        (["move_app_status", "shop"], 3, "unknown_migration"),
        (["move_app_status", "shop", "no-uuid"], 3, "unknown_migration"),
        (["manage_migrations", "abort", "no-uuid"], 3, "unknown_migration"),
        (["manage_migrations", "get_active", "nothing"], 3, "unknown_app"),
        (["teardown_source_replica", "no-uuid", "--confirm", "shop"], 3, "unknown_migration"),
    ],
)
def test_what_cannot_be_done_is_said_with_a_code_and_a_status(
    shop_on_paper: App, argv: list[str], status: int, code: str
) -> None:
    got, error = answer(*argv)
    assert (got, error["error"]) == (status, code)
    assert error["reason"]
    assert not AppMigration.objects.exists()


def test_wrong_usage_is_not_mistaken_for_anything_else() -> None:
    with pytest.raises(CommandError):
        call_command("move_app")


def test_the_operators_verbs(shop_on_paper: App) -> None:
    assert answer("manage_migrations", "get_active", "shop") == (0, {"migration": None})
    _, made = answer("move_app", "shop", "eu-west-1", *WHY)
    _, active = answer("manage_migrations", "get_active", "shop")
    assert active["migration"]["migration_id"] == made["migration_id"]
    assert answer("move_app", "shop", "eu-west-1", *WHY)[1]["error"] == "move_active"
    assert answer("manage_migrations", "abort", made["migration_id"], "--reason", "no") == (
        0,
        {"migration_id": made["migration_id"], "status": "aborted"},
    )
    assert answer("manage_migrations", "abort", made["migration_id"], *WHY)[0] == 4
    assert answer("manage_migrations", "reverse", made["migration_id"], *WHY)[0] == 4
    assert answer("manage_migrations", "retry", made["migration_id"], *WHY)[0] == 4
    assert answer("manage_migrations", "list_source_replicas") == (0, {"source_replicas": []})


def test_a_status_has_the_published_shape(shop_on_paper: App) -> None:
    answer("move_app", "shop", "eu-west-1", *WHY)
    _, shown = answer("move_app_status", "shop")
    published = [
        "migration_id",
        "app_id",
        "kind",
        "strategy",
        "status",
        "current_step",
        "step_started_at",
        "progress",
        "retry_count",
        "last_error",
        "source_region",
        "dest_region",
        "source_replica_state",
        "initiated_at",
        "completed_at",
    ]
    assert set(list(shown)[:15]) == set(published)
    assert (shown["app_id"], shown["status"], len(shown["steps"])) == ("shop", "queued", 11)


def test_a_move_is_scheduled(shop_on_paper: App) -> None:
    answer("move_app", "shop", "eu-west-1", *WHY, "--not-before", "2030-01-31T02:00+01:00")
    move = AppMigration.objects.get()
    assert move.due_at == move.not_before
    assert carry(move).status == Status.QUEUED


def test_a_database_is_put_on_the_books_and_previewed(shop: Shop) -> None:
    App.objects.all().delete()
    name = shop.app.database
    status, registered = answer(
        "register_app", "corner-shop", "--region", "us-east-1", "--database", name, "--owner", "team-a"
    )
    assert (status, registered["database"], registered["blobs"], registered["program"]) == (0, name, None, None)
    owner = App.objects.get().owner
    assert owner
    assert owner.name == "team-a"
    status, preview = answer("move_app", "corner-shop", "eu-west-1", "--dry-run")
    assert (status, preview["ok"], len(preview["steps"])) == (0, True, 11)
    assert not AppMigration.objects.exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--database", "nowhere_to_be_found"], "--database nowhere_to_be_found"),
        (["--database", "Not An Identifier"], "database"),
        (["--database", "postgres", "--hostname", "not a host"], "hostname"),
        (["--database", "postgres"], "--database postgres"),
    ],
)
def test_what_register_app_was_given_wrong_is_named(regions: dict[str, Region], argv: list[str], said: str) -> None:
    status, error = answer("register_app", "shop", "--region", "us-east-1", *argv)
    assert status == 3
    assert said in error["reason"]
    assert not App.objects.exists()


@pytest.mark.parametrize(("option", "name"), [("--blobs", "no-such-bucket"), ("--program", "no-such-program")])
def test_a_part_that_is_not_there_is_named(shop: Shop, option: str, name: str) -> None:
    argv = ["register_app", "other", "--region", "us-east-1", "--database", shop.app.database]
    status, error = answer(*argv, option, name)
    assert (status, f"{option} {name}" in error["reason"]) == (3, True)
    status, error = answer(*argv)
    assert (status, error["error"], shop.app.slug in error["reason"]) == (3, "already_registered", True)


def test_replicas_are_listed_with_their_cost_and_torn_down(shop: Shop) -> None:
    move = moved(shop.app, "eu-west-1")
    _, listed = answer("manage_migrations", "list_source_replicas")
    (replica,) = listed["source_replicas"]
    published = "migration_id, app_id, source_region, dest_region, completed_at, state, size_bytes, "
    assert list(replica) == (published + "estimated_monthly_cost_usd, review_at").split(", ")
    assert (replica["state"], replica["size_bytes"] > 0) == ("retained", True)
    assert answer("teardown_source_replica", str(move.pk), "--confirm", "something-else", *WHY)[0] == 3
    torn_down(move)
    status, error = answer("teardown_source_replica", str(move.pk), "--confirm", shop.app.slug, *WHY)
    assert (status, error["error"]) == (4, "replica_torn_down")


def test_a_bell_that_cannot_be_rung_does_not_stop_a_request(
    shop_on_paper: App, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert answer("move_app", "shop", "eu-west-1", *WHY)[0] == 0
    assert "bell.redis_away" in capsys.readouterr().err


def test_the_reconciler_rings_once_for_what_is_due(shop_on_paper: App) -> None:
    from migrations_app import bell

    answer("move_app", "shop", "eu-west-1", *WHY)
    with bell.connect() as connection:
        queue = bell.queue_of("eu-west-1", connection)
        queue.empty()
        assert answer("reconcile", "--once") == (0, {"rung": 1})
        answer("reconcile", "--once")
        assert queue.job_ids == [f"run_move-{AppMigration.objects.get().pk}"]
        queue.empty()


def test_every_command_of_the_readme_exists() -> None:
    names = set(re.findall(r"manage\.py (\w+)", README.read_text()))
    assert {"move_app", "sandbox", "demo"} <= names
    for name in names:
        load_command_class(get_commands()[name], name)


@pytest.mark.parametrize("page", [README, *sorted((README.parent / "docs").glob("*.md"))], ids=lambda page: page.name)
def test_every_command_line_of_the_docs_is_one_the_command_understands(page: Path) -> None:
    for line in re.findall(r"^\$ .*?\bpython manage\.py ([^|>()\n]+)", page.read_text(), re.MULTILINE):
        name, *argv = shlex.split(line)
        load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(argv)

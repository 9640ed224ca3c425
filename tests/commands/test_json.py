"""What every command prints with --json: one object, whatever comes of it, with keys that stay."""

from __future__ import annotations

import io
import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import call_command

from migrations_app import orphans, preview, queries, registration
from migrations_app.actions import deciding, requesting
from migrations_app.clock import database_now
from migrations_app.management.commands import verify_migration
from migrations_app.management.lines import commands
from migrations_app.models import App, AppMigration, Region
from migrations_app.orphans.looking import Sight
from migrations_app.states import Status
from migrations_app.verification.report import Report
from tests import on_paper
from tests.commands.running import run
from tests.people import person

pytestmark = pytest.mark.django_db(transaction=True)

WHY = ("--reason", "a test")
MOVE = (
    "app_id completed_at current_step dest_region initiated_at kind last_error migration_id progress retry_count "
    "source_region source_replica_state status step_started_at strategy"
)
DONE = "migration_id status"
SANDBOX = "edge logins portal processes regions running"

KEYS = {
    "approve_migration": DONE,
    "completion": "script shell",
    "demo": (
        "acknowledged_writes blobs blocked_seconds bytes duplicated_writes failed_reads last_error lost_writes "
        "migration_id reads refused_writes reverse rows status steps teardown"
    ),
    "document_commands": "markdown",
    "export_audit": "events",
    "find_orphans": "orphans unreachable",
    "list_alarms": "alarms",
    "list_regions": "details regions",
    "manage_migrations abort": DONE,
    "manage_migrations comment": DONE,
    "manage_migrations get_active": "migration",
    "manage_migrations keep": "migration_id review_at",
    "manage_migrations list_source_replicas": "source_replicas",
    "manage_migrations retry": DONE,
    "manage_migrations reverse": f"{DONE} path",
    "manage_migrations withdraw": DONE,
    "move_app": DONE,
    "move_app --dry-run": (
        "app_id dest_region estimate estimates ok preflight source_region steps strategy strategy_reason"
    ),
    "move_app_status": (
        f"{MOVE} approvals block_budget_seconds blocked_seconds comments differences earliest_start next_try_at "
        "not_before preflight reason requested_by steps ticket_url worker writes_blocked_at"
    ),
    "reconcile": "rung",
    "register_app": "app_id blobs database hostname port program region",
    "reject_migration": DONE,
    "sandbox down": SANDBOX,
    "sandbox env": "environment",
    "sandbox reset": SANDBOX,
    "sandbox status": SANDBOX,
    "sandbox up": SANDBOX,
    "seed_books": "alarms apps approvals audit_events moves source_replicas step_runs",
    "teardown_source_replica": f"{DONE} last_error",
    "verify_audit": "events heads ok problems",
    "verify_migration": (
        "at chunks depth equal findings migration_id not_carried primary replica rows rows_in_block seconds "
        "seconds_in_block unsettled"
    ),
    "work": "did_something region",
}
"""Programs that read them exist: a key may come, none may go. demo's are looked at where it runs (test_demo.py)."""


def test_every_command_is_in_the_table() -> None:
    lines = {line.name for command in commands().values() for line in command.verbs or [command]}
    assert lines == {name.partition(" --")[0] for name in KEYS}


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> None:
    """Regions that nobody asks; moves and teardowns wait for approval."""
    settings.MOVES_FOUR_EYES = frozenset({"move", "teardown"})
    for module in (requesting, deciding, preview):
        monkeypatch.setattr(module, "look", lambda row: [])
    monkeypatch.setattr(
        registration,
        "discover",
        lambda *, slug, region, database, **_: App(slug=slug, region=region, database=database),
    )
    monkeypatch.setattr(orphans, "look", lambda books: Sight())
    monkeypatch.setattr(verify_migration, "compare_anytime", lambda *_, **__: Report())


def keys_of(*argv: str, expected: int = 0) -> str:
    ran = run(*argv, "--json")
    assert ran.status == expected, ran
    return " ".join(sorted(re.sub(" ", "_", key) for key in ran.answer))


def wanted(line: str) -> str:
    return " ".join(sorted(KEYS[line].split()))


def test_what_is_looked_at_has_the_keys_of_the_table(paper: None) -> None:
    shop = on_paper.app("shop")
    on_paper.region("eu-west-1")
    done = str(on_paper.completed(shop).pk)
    queue = ("work", "us-east-1", "--burst")
    looked = {
        "completion": ["completion", "bash"],
        "document_commands": ["document_commands"],
        "export_audit": ["export_audit"],
        "find_orphans": ["find_orphans"],
        "list_regions": ["list_regions"],
        "manage_migrations get_active": ["manage_migrations", "get_active", "shop"],
        "manage_migrations list_source_replicas": ["manage_migrations", "list_source_replicas"],
        "move_app_status": ["move_app_status", "shop"],
        "reconcile": ["reconcile", "--once"],
        "verify_audit": ["verify_audit"],
        "verify_migration": ["verify_migration", done],
        "work": [*queue],
        "sandbox status": ["sandbox", "status"],
        "sandbox env": ["sandbox", "env"],
        "sandbox up": ["sandbox", "up", "--servers-only"],
    }
    # The moves are on the books without the trail of how they came there.
    ends = {"verify_audit": 1}
    assert {line: keys_of(*argv, expected=ends.get(line, 0)) for line, argv in looked.items()} == {
        line: wanted(line) for line in looked
    }


def test_what_is_done_has_the_keys_of_the_table(paper: None) -> None:
    person("ann", "Admin")
    person("ben", "Admin")
    for name in ("one", "two", "three"):
        on_paper.app(name)
    on_paper.region("eu-west-1")

    def requested(slug: str) -> str:
        assert keys_of("move_app", slug, "eu-west-1", *WHY, "--as", "ann") == wanted("move_app")
        return str(AppMigration.objects.get(app__slug=slug).pk)

    one, two, three = requested("one"), requested("two"), requested("three")
    kept = [str(on_paper.completed(on_paper.app(name)).pk) for name in ("four", "five")]
    held = on_paper.move(on_paper.app("six"), status=Status.HELD)
    day = str((database_now() + timedelta(days=9)).date())
    done = {
        "approve_migration": [one, "--as", "ben"],
        "reject_migration": [two, *WHY, "--as", "ben"],
        "manage_migrations withdraw": [three, "--as", "ann"],
        "manage_migrations abort": [one, *WHY],
        "manage_migrations retry": [str(held.pk), *WHY],
        "manage_migrations comment": [one, "--text", "hello", "--as", "ann"],
        "manage_migrations keep": [kept[0], "--until", day],
        "teardown_source_replica": [kept[0], "--confirm", "four", *WHY],
        "manage_migrations reverse": [kept[1], *WHY],
        "move_app --dry-run": ["three", "eu-west-1", "--dry-run"],
        "register_app": ["new", "--region", "eu-west-1", "--database", "new"],
    }
    got = {line: keys_of(*line.replace(" --dry-run", "").split(), *argv) for line, argv in done.items()}
    assert got == {line: wanted(line) for line in done}


def test_alarms_are_one_object_and_exit_status_1() -> None:
    assert keys_of("list_alarms", expected=1) == wanted("list_alarms")  # no reconciler runs here


def test_filling_the_books_says_how_far_it_is_beside_its_object() -> None:
    ran = run("seed_books", "--apps", "12", "--moves", "4", "--events", "60", "--live", "2", "--json")
    assert ran.status == 0
    assert {key.replace(" ", "_") for key in ran.answer} == set(KEYS["seed_books"].split())
    assert ran.err


@pytest.mark.parametrize("verb", ["down", "reset", "status"])
def test_a_sandbox_that_is_not_there_has_the_same_keys(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDBOX_DIR", str(tmp_path / "none"))
    assert keys_of("sandbox", verb, expected=int(verb == "status")) == wanted(f"sandbox {verb}")


def test_the_trail_is_one_object_of_whole_events(paper: None) -> None:
    assert run("export_audit", "--json").answer == {"events": []}
    on_paper.app("shop")
    on_paper.region("eu-west-1")
    move = run("move_app", "shop", "eu-west-1", *WHY, "--json").answer["migration_id"]
    run("manage_migrations", "abort", move, *WHY)
    events = run("export_audit", "--json").answer["events"]
    assert [event["verb"] for event in events] == ["request", "abort"]


ERRORS: list[tuple[list[str], int, str]] = [
    (["move_app"], 2, "usage"),
    (["move_app", "shop", "eu-west-1", "--block-budget", "long"], 2, "usage"),
    (["manage_migrations"], 2, "usage"),
    (["manage_migrations", "abort"], 2, "usage"),
    (["sandbox", "sideways"], 2, "usage"),
    (["completion", "tcsh"], 2, "usage"),
    (["move_app", "nothing", "eu-west-1"], 3, "unknown_app"),
    (["move_app", "shop", "us-east-1", *WHY], 4, "same_region"),
    (["move_app", "shop", "closed", *WHY], 4, "region_closed"),
    (["move_app", "shop", "eu-west-1", "--reason", "\udcff"], 3, "invalid_text"),
    (["list_regions", "--as", "nobody"], 3, "unknown_user"),
    (["move_app_status", "shop"], 3, "unknown_migration"),
    (["teardown_source_replica", "x", "--confirm", "shop", "--wait", "nan"], 3, "invalid_time"),
    (["work", "nowhere", "--burst"], 3, "invalid_region"),
    (["demo", "--rows", "0"], 3, "invalid_number"),
]


@pytest.mark.parametrize(
    ("argv", "status", "code"), ERRORS, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_an_error_is_one_object_with_a_reason_and_a_hint(
    paper: None, argv: list[str], status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_paper.app("shop")
    on_paper.region("eu-west-1")
    on_paper.region("closed", accepts_moves=False)
    ran = run(*argv, "--json")
    assert (ran.status, ran.answer["error"]) == (status, code)
    assert list(ran.answer) == ["error", "reason", "hint"]
    assert ran.answer["reason"]
    assert ran.answer["hint"]


def test_a_fault_is_one_object_too_and_its_traceback_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "app", lambda *_, **__: 1 / 0)
    out = io.StringIO()
    with pytest.raises(ZeroDivisionError):
        call_command("move_app_status", "shop", "--json", stdout=out)
    assert json.loads(out.getvalue())["error"] == "internal_error"


def test_a_database_of_another_version_is_said_to_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_tables(*_: Any, **__: Any) -> Any:
        return Region.objects.raw("SELECT id, no_such_column FROM migrations_app_region")[0]

    monkeypatch.setattr(queries, "app", without_tables)
    ran = run("move_app_status", "shop", "--json")
    assert (ran.status, ran.answer["error"]) == (1, "portal_database_outdated")
    assert "migrate" in ran.answer["hint"]


def test_what_was_copied_with_blanks_or_capitals_counts(paper: None) -> None:
    on_paper.app("shop")
    on_paper.region("eu-west-1")
    made = run("move_app", " Shop", "EU-West-1 ", *WHY, "--json").answer["migration_id"]
    assert run("move_app_status", "SHOP", f" {made.upper()}\n", "--json").answer["migration_id"] == made


def test_a_name_in_other_capitals_is_asked_back() -> None:
    person("ann", "Admin")
    assert "Do you mean ann?" in run("list_regions", "--as", "Ann", "--json").answer["hint"]


def test_what_a_terminal_would_obey_is_not_printed(paper: None) -> None:
    on_paper.app("shop")
    on_paper.region("eu-west-1")
    run("move_app", "shop", "eu-west-1", "--reason", "look \x1b[2J here")
    assert "look \ufffd[2J here" in run("move_app_status", "shop").out

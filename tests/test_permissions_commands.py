"""Every command that people use, as every role, on the apps of one's own team and of another one."""

from __future__ import annotations

import argparse
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest
from django.conf import LazySettings
from django.core.management import call_command, get_commands, load_command_class
from django.db import transaction

from migrations_app import audit, orphans, preview, registration
from migrations_app.actions import deciding, requesting
from migrations_app.clock import database_now
from migrations_app.engine.alarms import Trouble, raise_
from migrations_app.engine.reconciler import HEARTBEAT
from migrations_app.management.base import PortalCommand
from migrations_app.models import App, AppMigration, AuditEvent, Heartbeat
from migrations_app.models.alarm import AlarmCode
from migrations_app.orphans.looking import Sight
from migrations_app.states import Status
from tests.test_permissions import PEOPLE, SIDES, World, everything, reach, world

pytestmark = pytest.mark.django_db

LISTED = "manage_migrations list_source_replicas"
ALARMS = "list_alarms"


@dataclass(frozen=True)
class Case:
    """A command line, the row of the matrix it falls under, and what there is before it runs.

    `{slug}` and `{id}` stand for the app and its move, `{day}` for one to come. `of_ones_own`: who runs it asked for
    the move. `asks_first`: the right is asked for before anything is looked up, so that other teams' things are
    forbidden rather than not there.
    `else_`: what a rule says to those who may.
    """

    argv: str
    verb: str
    there: Callable[[World, str], AppMigration] | None = None
    of_ones_own: bool = False
    asks_first: bool = False
    else_: str = ""

    def __str__(self) -> str:
        there = self.there.__name__ if self.there else ""
        return " ".join(filter(None, (self.argv, there, "of_ones_own" if self.of_ones_own else "")))

    @property
    def writes(self) -> bool:
        return self.verb not in ("view", "export_audit") and "--dry-run" not in self.argv


def awaiting(here: World, side: str) -> AppMigration:
    return here.move(side, Status.AWAITING_APPROVAL)


def held(here: World, side: str) -> AppMigration:
    return here.move(side, Status.HELD)


def completed(here: World, side: str) -> AppMigration:
    return here.move(side, Status.COMPLETED)


def teardown_asked(here: World, side: str) -> AppMigration:
    return here.teardown_asked(side)


CASES = [
    Case("list_regions", "view", asks_first=True),
    Case("move_app_status {slug}", "view", awaiting),
    Case("move_app_status {slug} {id}", "view", awaiting),
    Case("manage_migrations get_active {slug}", "view", awaiting),
    Case("move_app {slug} eu-west-1 --reason why", "request"),
    Case("move_app {slug} eu-west-1 --dry-run", "request"),
    Case("manage_migrations withdraw {id}", "withdraw", awaiting, of_ones_own=True),
    Case("manage_migrations withdraw {id}", "withdraw", awaiting, else_="not_own_request"),
    Case("approve_migration {id}", "approve", awaiting),
    Case("approve_migration {id}", "approve", awaiting, of_ones_own=True, else_="own_request"),
    Case("approve_migration {id}", "approve", teardown_asked),
    Case("reject_migration {id} --reason why", "reject", awaiting),
    Case("reject_migration {id} --reason why", "reject", teardown_asked),
    Case("manage_migrations abort {id} --reason why", "abort", awaiting),
    Case("manage_migrations retry {id} --reason why", "retry", held),
    Case("manage_migrations reverse {id} --reason why", "reverse", completed),
    Case("teardown_source_replica {id} --confirm {slug} --reason why", "teardown", completed),
    Case("manage_migrations keep {id} --until {day}", "keep", completed),
    Case("manage_migrations keep {id} --until {day}", "keep", awaiting, else_="no_replica"),
    Case("manage_migrations comment {id} --text hello", "comment", awaiting),
    Case("manage_migrations comment {id} --text hello", "comment", completed),
    Case(
        "register_app new-{side} --region us-east-1 --database new_{side} --owner team-new", "register", asks_first=True
    ),
    Case("export_audit", "export_audit", awaiting, asks_first=True),
    Case("export_audit --app {slug}", "export_audit", awaiting, asks_first=True),
    Case("export_audit --move {id}", "export_audit", awaiting, asks_first=True),
    Case("verify_audit", "export_audit", awaiting, asks_first=True),
    Case("verify_audit {id}", "export_audit", awaiting, asks_first=True),
    Case("verify_migration {id}", "view", awaiting, else_="no_second_side"),
    Case("find_orphans", "export_audit", awaiting, asks_first=True),
    Case("find_orphans --app {slug}", "export_audit", awaiting, asks_first=True),
]


@pytest.fixture(autouse=True)
def _regions_on_paper(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"move", "teardown"})
    for module in (requesting, deciding, preview):
        monkeypatch.setattr(module, "look", lambda row: [])
    monkeypatch.setattr(
        registration,
        "discover",
        lambda *, slug, region, database, **found: App(slug=slug, region=region, database=database),
    )
    monkeypatch.setattr(orphans, "look", lambda books: Sight())
    # It wants a transaction of its own, which a test inside one cannot give.
    monkeypatch.setattr(
        audit, "verify", lambda move=None: audit._verdict(AuditEvent.objects.none(), AppMigration.objects.none())
    )


def run(argv: str, who: str) -> tuple[int, str, str]:
    """`(exit status, error code or nothing, standard output)`."""
    out = io.StringIO()
    as_user = [] if who == "shell" else ["--as", "root" if who == "superuser" else who.lower()]
    status = 0
    try:
        call_command(*argv.split(), *as_user, "--json", stdout=out, stderr=io.StringIO())
    except SystemExit as ended:
        status = int(ended.code or 0)
    return status, json.loads(out.getvalue()).get("error", "") if status else "", out.getvalue()


def expected(case: Case, who: str, side: str) -> tuple[int, str]:
    """From the matrix alone."""
    if who == "inactive":
        return 3, "unknown_user"
    if side not in reach(who, "view") and not case.asks_first:
        first = case.argv.partition("{")[2].partition("}")[0]
        return 3, {"slug": "unknown_app", "id": "unknown_migration"}[first]
    if not reach(who, case.verb):
        return 4, "forbidden"
    return (4, case.else_) if case.else_ else (0, "")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_command_keeps_to_the_matrix(case: Case) -> None:
    here = world()
    got = {}
    for side in ("own", "other"):
        with rolled_back():
            move = case.there(here, side) if case.there else None
            for who in PEOPLE:
                with rolled_back():
                    if case.of_ones_own and move:
                        move.approvals.update(requested_by=here.people[who])
                    got[who, side] = run_and_look(case, who, side, move)
    assert got == {(who, side): expected(case, who, side) for who, side in got}


def run_and_look(case: Case, who: str, side: str, move: AppMigration | None) -> tuple[int, str]:
    """Exit status and error code; a refusal has changed nothing and told nothing."""
    slug = SIDES[side]
    day = (database_now() + timedelta(days=9)).date()
    argv = case.argv.format(slug=slug, id=move.pk if move else "", side=side, day=day)
    before, events = everything(), AuditEvent.objects.count()
    status, code, printed = run(argv, who)
    assert (everything() == before) == bool(status or not case.writes)
    if status:
        assert f"because of {slug}" not in printed
        assert slug in argv or slug not in printed or side in reach(who, "view")
    assert AuditEvent.objects.count() == events + (status == 0 and case.writes)
    return status, code


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def lines_of_commands() -> set[str]:
    """Every command that people use, each verb of manage_migrations for itself."""
    lines = set()
    for name, app in get_commands().items():
        if app != "migrations_app":
            continue
        command = load_command_class(app, name)
        assert isinstance(command, PortalCommand)
        if not command.is_for_people:
            continue
        verbs = [verb for action in command.create_parser("", name)._actions for verb in subcommands(action)]
        lines |= {f"{name} {verb}" for verb in verbs} or {name}
    return lines


def subcommands(action: argparse.Action) -> list[str]:
    return list(action.choices or []) if isinstance(action, argparse._SubParsersAction) else []


def test_every_command_has_a_row() -> None:
    walked = {case.argv for case in CASES} | {LISTED, ALARMS}
    for line in lines_of_commands():
        assert any(argv.split()[: len(line.split())] == line.split() for argv in walked), line


@pytest.mark.parametrize("who", PEOPLE)
def test_the_list_of_replicas_shows_those_in_sight(who: str) -> None:
    here = world()
    for side in SIDES:
        here.move(side, Status.COMPLETED)
    status, code, printed = run(LISTED, who)
    if who == "inactive":
        assert (status, code) == (3, "unknown_user")
        return
    shown = {replica["app_id"] for replica in json.loads(printed)["source_replicas"]}
    assert (status, shown) == (0, {SIDES[side] for side in reach(who, "view")})


@pytest.mark.parametrize("who", PEOPLE)
def test_the_list_of_alarms_shows_those_about_apps_in_sight(who: str) -> None:
    here = world()
    Heartbeat.objects.create(name=HEARTBEAT)
    alarmed(here)
    status, code, printed = run(ALARMS, who)
    if not reach(who, "view"):
        assert (status, code) == ((3, "unknown_user") if who == "inactive" else (4, "forbidden"))
        return
    own = reach(who, "view") == {"own"}
    assert {alarm["about"] for alarm in json.loads(printed)["alarms"]} == (
        {"replica own"} if own else {"redis", *(f"replica {side}" for side in SIDES)}
    )
    assert status == 1


def alarmed(here: World) -> None:
    """An alarm about each side's replica, and one about no app."""
    for side in SIDES:
        move = here.move(side, Status.COMPLETED)
        raise_(Trouble(AlarmCode.SLOT_LOST, f"replica {side}", f"It is about {SIDES[side]}.", "", migration=move))
    raise_(Trouble(AlarmCode.REDIS_AWAY, "redis", "It is away.", "Start it."))


@pytest.mark.parametrize("argv", ["manage_migrations abort {id}", "move_app_status {slug}", "approve_migration {id}"])
def test_what_another_team_has_is_spoken_of_like_what_does_not_exist(argv: str) -> None:
    move = world().move("other", Status.AWAITING_APPROVAL)
    nothing = {"slug": "no-such-shop", "id": "00000000-0000-0000-0000-000000000000"}
    *theirs, about_theirs = run(argv.format(slug=SIDES["other"], id=move.pk), "Requester")
    *unknown, about_nothing = run(argv.format(**nothing), "Requester")
    assert theirs == unknown
    for name, real in (("slug", SIDES["other"]), ("id", str(move.pk))):
        about_theirs = about_theirs.replace(real, nothing[name])
    assert about_theirs == about_nothing


def test_an_app_that_is_refused_leaves_no_team_behind() -> None:
    world()
    before = everything()
    argv = "register_app ours-shop --region us-east-1 --database ours_shop --owner team-new"
    assert run(argv, "Operator")[:2] == (3, "already_registered")
    assert everything() == before


def test_a_name_nobody_has_is_no_way_in() -> None:
    world()
    assert run("list_regions", "Mallory")[:2] == (3, "unknown_user")

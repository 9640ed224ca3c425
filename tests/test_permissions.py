"""Who may do what, written down once more by hand, and compared with what the portal answers and what the doc says.

The same matrix walks every command (test_permissions_commands.py) and every URL (test_permissions_urls.py).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection

from migrations_app import actions, permissions
from migrations_app.errors import Forbidden
from migrations_app.models import App, AppMigration, Approval, AuditEvent, Region, SourceReplica
from migrations_app.permissions import Verb, can
from migrations_app.states import ReplicaState, Status
from tests.people import ROLES, person, team

DOC = Path(__file__).resolve().parents[1] / "docs/permissions.md"

MATRIX = {
    row.split()[0]: dict(zip((*ROLES, "superuser", "shell"), row.split()[1:], strict=True))
    for row in """
        view          own  own  own  all  all  all  all
        request       -    own  -    all  all  all  all
        withdraw      own  own  own  all  all  all  all
        approve       -    -    own  -    all  all  -
        reject        -    -    own  -    all  all  -
        abort         -    own  -    all  all  all  all
        retry         -    -    -    all  all  all  all
        reverse       -    own  -    all  all  all  all
        teardown      -    -    -    all  all  all  all
        keep          -    -    -    all  all  all  all
        comment       own  own  own  all  all  all  -
        register      -    -    -    all  all  all  all
        export_audit  -    -    -    all  all  all  all
        resend        -    -    -    all  all  all  all
        edit_subscriptions  - - -    -    all  all  all
        edit_apps     -    -    -    all  all  all  -
        edit_regions  -    -    -    -    all  all  -
        edit_users    -    -    -    -    all  all  -
    """.strip().splitlines()
}
"""Columns: Viewer, Requester, Approver, Operator, Admin; a superuser; the shell without --as.

`own`: the apps of one's own teams; `all`: those of every team. The shell has no pages to edit on.
"""

PEOPLE = (*ROLES, "nobody", "inactive", "superuser", "shell")
SIDES = {"own": "ours-shop", "other": "theirs-shop", "nobodys": "stray-shop"}


@dataclass(frozen=True)
class World:
    """Two teams with an app each and one app without a team; `asker` has every right and asks for what is there."""

    people: dict[str, User | None]
    apps: dict[str, App]
    asker: User

    def move(self, side: str, status: Status) -> AppMigration:
        """A move of that side's app: asked for, held, or completed with its replica retained."""
        app, dest = self.apps[side], Region.objects.get(slug="eu-west-1")
        if status == Status.AWAITING_APPROVAL:
            return actions.request_move(
                app_slug=app.slug, dest_slug=dest.slug, acting_user=self.asker, reason=f"because of {app.slug}"
            )
        move = AppMigration.objects.create(
            app=app,
            source_region=app.region,
            dest_region=dest,
            status=status,
            pivot_at="2030-01-01T00:00Z",
            reason=f"because of {app.slug}",
        )
        if status == Status.COMPLETED:
            SourceReplica.objects.create(migration=move, app=app, region=app.region)
            App.objects.filter(pk=app.pk).update(region=dest)
        return move

    def teardown_asked(self, side: str) -> AppMigration:
        """A completed move whose replica's teardown waits for approval."""
        move = self.move(side, Status.COMPLETED)
        actions.teardown(move_id=move.pk, acting_user=self.asker, confirm=move.app.slug, reason="a test")
        assert move.source_replica.state == ReplicaState.RETAINED
        return move


def world() -> World:
    us = Region.objects.create(slug="us-east-1", database="host=us dbname=postgres")
    Region.objects.create(slug="eu-west-1", database="host=eu dbname=postgres")
    owners = {"own": team("team-ours"), "other": team("team-theirs"), "nobodys": None}
    people: dict[str, User | None] = {role: person(role.lower(), role, "team-ours") for role in ROLES}
    people["nobody"] = person("nobody", "", "team-ours")
    people["inactive"] = gone = person("inactive", "Admin", "team-ours")
    gone.is_active = False
    gone.save()
    people["superuser"] = User.objects.create_superuser("root")
    people["shell"] = None
    return World(
        people=people,
        apps={
            side: App.objects.create(slug=slug, database=slug.replace("-", "_"), region=us, owner=owners[side])
            for side, slug in SIDES.items()
        },
        asker=person("asker", "Admin"),
    )


def reach(who: str, verb: str) -> set[str]:
    """Whose apps somebody may do that to."""
    return {"-": set(), "own": {"own"}, "all": set(SIDES)}[MATRIX[verb].get(who, "-")]


def everything() -> dict[str, str]:
    """A hash of every table that somebody could have changed something in."""
    models = (App, AppMigration, Approval, AuditEvent, Group, Region, SourceReplica, User.groups.through)
    tables = [model._meta.db_table for model in models]
    hashed = (f"SELECT '{name}', md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t" for name in tables)
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(hashed))
        return dict(cursor.fetchall())


@pytest.mark.django_db
@pytest.mark.parametrize("who", PEOPLE)
def test_everybody_may_what_the_matrix_says_and_nothing_else(who: str) -> None:
    here = world()
    user = here.people[who]
    moves = {
        side: AppMigration.objects.create(
            app=app, source_region=app.region, dest_region=Region.objects.get(slug="eu-west-1")
        )
        for side, app in here.apps.items()
    }
    for things in (here.apps, moves):
        may = {verb.value: {side for side, thing in things.items() if can(user, verb, thing)} for verb in Verb}
        assert may == {verb.value: reach(who, verb) for verb in Verb}


@pytest.mark.django_db
@pytest.mark.parametrize("who", PEOPLE)
def test_regions_are_seen_by_all_who_may_look_at_anything(who: str) -> None:
    here = world()
    assert can(here.people[who], Verb.VIEW, Region.objects.get(slug="us-east-1")) == bool(reach(who, "view"))


@pytest.mark.django_db
@pytest.mark.parametrize("who", PEOPLE)
def test_lists_hold_what_is_in_sight(who: str) -> None:
    here = world()
    for side in SIDES:
        here.move(side, Status.COMPLETED)
    expected = {SIDES[side] for side in reach(who, "view")}
    user = here.people[who]
    assert {app.slug for app in permissions.visible_apps(user)} == expected
    assert {move.app.slug for move in permissions.in_sight(AppMigration.objects.all(), user)} == expected
    assert {replica.app.slug for replica in permissions.in_sight(SourceReplica.objects.all(), user)} == expected


@pytest.mark.django_db
@pytest.mark.parametrize("who", PEOPLE)
def test_require_raises_what_can_denies(who: str) -> None:
    here = world()
    for verb in Verb:
        if reach(who, verb):
            permissions.require(here.people[who], verb, here.apps["own"])
            continue
        with pytest.raises(Forbidden) as refused:
            permissions.require(here.people[who], verb, here.apps["own"])
        assert (refused.value.code, "--as" in refused.value.hint) == ("forbidden", who == "shell")


def test_the_matrix_has_a_row_for_every_verb() -> None:
    assert set(Verb) <= set(MATRIX)


def test_the_doc_shows_the_same_matrix() -> None:
    rows = re.findall(r"^\| `(\w+)` \|(.+)\|$", DOC.read_text(), re.MULTILINE)
    said = {
        verb: dict(zip(ROLES, (cell.strip() for cell in cells.split("|")[1:]), strict=True)) for verb, cells in rows
    }
    words = {"-": "–", "own": "own", "all": "every"}
    assert said == {
        verb: {role: words[reach] for role, reach in row.items() if role in ROLES} for verb, row in MATRIX.items()
    }

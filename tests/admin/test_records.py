"""The admin as keeper of records: nothing with a history goes away or is edited, every edit is on the audit trail."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission, User

from migrations_app.models import App, AppMigration, AuditEvent, Region
from migrations_app.rules import ROLES
from migrations_app.states import Status
from tests import on_paper
from tests.admin.pages import MODELS, page, send, things
from tests.people import person, team

pytestmark = pytest.mark.django_db

REGION = {
    "slug": "eu-north-1",
    "name": "Stockholm",
    "database": "host=db.north dbname=postgres",
    "concurrent_moves": 2,
    "cost_per_gb_month_usd": "0.1",
    "time_zone": "UTC",
    "accepts_moves": "on",
}
APP = {"slug": "blog", "database": "blog", "health_path": "/healthz"}


def last_event() -> AuditEvent:
    return AuditEvent.objects.latest("id")


# -- nothing goes away, nothing is edited -----------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_what_has_a_history_is_never_deleted(move: AppMigration, root: User, model: str) -> None:
    thing = things(move)[model]
    assert send(root, f"migrations_app_{model}_delete", thing.pk, post="yes").status_code == 403
    send(
        root,
        f"migrations_app_{model}_changelist",
        action="delete_selected",
        _selected_action=str(thing.pk),
        post="yes",
    )
    assert type(thing).objects.filter(pk=thing.pk).exists()


@pytest.mark.parametrize("model", ["appmigration", "sourcereplica", "auditevent"])
def test_what_moves_by_itself_is_not_edited(move: AppMigration, root: User, model: str) -> None:
    thing = things(move)[model]
    crafted = {"status": "failed", "state": "torn_down", "reason": "crafted", "verb": "crafted", "_save": "1"}
    assert send(root, f"migrations_app_{model}_change", thing.pk, **crafted).status_code == 403
    assert page(root, f"migrations_app_{model}_add").status_code == 403
    thing.refresh_from_db()
    move.refresh_from_db()
    assert move.status == Status.COMPLETED
    assert "crafted" not in (getattr(thing, "reason", ""), getattr(thing, "verb", ""))


def test_a_team_that_owns_an_app_stays(move: AppMigration, admin: User) -> None:
    owner = move.app.owner
    assert owner is not None
    response = page(admin, "auth_group_delete", owner.pk)
    assert "protected" in response.content.decode()
    send(admin, "auth_group_delete", owner.pk, post="yes")
    assert Group.objects.filter(pk=owner.pk).exists()


@pytest.mark.parametrize("role", ROLES)
def test_a_role_stays_and_keeps_its_name(root: User, admin: User, role: str) -> None:
    group = Group.objects.get(name=role)
    assert send(root, "auth_group_delete", group.pk, post="yes").status_code == 403
    send(root, "auth_group_changelist", action="delete_selected", _selected_action=str(group.pk), post="yes")
    send(root, "auth_group_change", group.pk, name="Renamed", permissions=[p.pk for p in group.permissions.all()])
    assert Group.objects.get(pk=group.pk).name == role


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_do_only_a_superuser_changes(root: User, admin: User, role: str) -> None:
    group, more = Group.objects.get(name=role), Permission.objects.get(codename="delete_permission")
    before = set(group.permissions.all())
    html = page(admin, "auth_group_change", group.pk).content.decode()
    assert 'name="_save"' not in html
    assert "Can view move" in html
    assert send(admin, "auth_group_change", group.pk, name=role, permissions=[more.pk]).status_code == 403
    assert set(group.permissions.all()) == before
    assert send(root, "auth_group_change", group.pk, name="Renamed", permissions=[more.pk]).status_code == 302
    assert (set(group.permissions.all()), Group.objects.get(pk=group.pk).name) == ({more}, role)


def test_an_admin_makes_and_renames_teams_and_gives_them_no_rights(root: User, admin: User) -> None:
    right = Permission.objects.get(codename="see_every_team")
    assert "permissions" not in page(admin, "auth_group_add").content.decode()
    assert send(admin, "auth_group_add", name="team-new", permissions=[right.pk]).status_code == 302
    group = Group.objects.get(name="team-new")
    assert not group.permissions.exists()
    assert send(admin, "auth_group_change", group.pk, name="team-newer", permissions=[right.pk]).status_code == 302
    group.refresh_from_db()
    assert (group.name, group.permissions.count()) == ("team-newer", 0)
    send(root, "auth_group_change", group.pk, name="team-newer", permissions=[right.pk])
    assert group.permissions.get() == right
    send(admin, "auth_group_change", group.pk, name="team-newest")
    assert group.permissions.get() == right, "what only a superuser gives, only a superuser takes"


def test_people_are_not_deleted_and_superusers_are_made_by_superusers(root: User, admin: User) -> None:
    assert send(root, "auth_user_delete", admin.pk, post="yes").status_code == 403
    assert send(admin, "auth_user_change", root.pk, username="root", is_active="").status_code == 403
    assert send(admin, "auth_user_password_change", root.pk, password1="x", password2="x").status_code == 403
    send(admin, "auth_user_change", admin.pk, username="ada", is_active="on", is_staff="on", is_superuser="on")
    admin.refresh_from_db()
    assert not admin.is_superuser


# -- edits ------------------------------------------------------------------------------------------------------------


def test_a_new_region_and_its_change_are_on_the_trail(admin: User) -> None:
    assert send(admin, "migrations_app_region_add", **REGION).status_code == 302
    added = last_event()
    assert (added.verb, added.target, added.actor, added.surface) == ("add", "region eu-north-1", admin, "admin")
    assert "database: nothing → host=db.north dbname=postgres" in added.reason
    region = Region.objects.get(slug="eu-north-1")
    closed = {name: value for name, value in REGION.items() if name != "accepts_moves"}
    send(admin, "migrations_app_region_change", region.pk, **closed)
    assert (last_event().verb, last_event().reason) == ("edit", "accepts_moves: True → False")


def test_a_region_with_a_password_is_refused(admin: User) -> None:
    response = send(admin, "migrations_app_region_add", **REGION | {"database": "host=db password=hunter2"})
    assert "PGPASSFILE" in response.content.decode()
    assert not Region.objects.exists()
    assert not AuditEvent.objects.exists()


def test_regions_are_the_admins_apps_the_operators_too() -> None:
    may_add = {
        (role, model): page(person(f"{role}-{model}", role), f"migrations_app_{model}_add").status_code == 200
        for role in ROLES
        for model in ("region", "app")
    }
    assert {pair for pair, may in may_add.items() if may} == {
        ("Admin", "region"),
        ("Admin", "app"),
        ("Operator", "app"),
    }


def test_a_new_app_belongs_to_a_team_and_not_to_a_role(admin: User) -> None:
    home, ours = on_paper.region("us-east-1"), team("team-a")
    form = page(admin, "migrations_app_app_add").content.decode()
    assert "team-a" in form
    assert not any(f">{role}<" in form for role in ROLES)
    viewers = Group.objects.get(name="Viewer")
    assert send(admin, "migrations_app_app_add", **APP, region=home.pk, owner=viewers.pk).status_code == 200
    assert not App.objects.exists()
    assert send(admin, "migrations_app_app_add", **APP, region=home.pk, owner=ours.pk).status_code == 302
    event = last_event()
    assert (event.verb, event.target, event.app) == ("add", "app blog", App.objects.get(slug="blog"))
    assert "owner: nothing → team-a" in event.reason


def test_an_app_is_validated_when_it_is_added(admin: User) -> None:
    home = on_paper.region("us-east-1")
    response = send(admin, "migrations_app_app_add", **APP | {"database": "No Name; --"}, region=home.pk)
    assert "beginning with a letter" in response.content.decode()
    assert not App.objects.exists()


def test_what_a_replica_goes_by_is_not_edited(move: AppMigration, admin: User) -> None:
    app = move.app
    assert app.owner is not None
    response = send(
        admin, "migrations_app_app_change", app.pk, owner=app.owner.pk, blobs="other", health_path="/healthz"
    )
    assert "goes by this" in response.content.decode()
    app.refresh_from_db()
    assert app.blobs == ""


def test_a_change_of_an_app_tells_old_and_new(admin: User) -> None:
    app = on_paper.app("shop")
    theirs = team("team-b")
    send(admin, "migrations_app_app_change", app.pk, owner=theirs.pk, blobs="", health_path="/up")
    event = last_event()
    assert event.reason == "owner: team-a → team-b; health_path: /healthz → /up"
    assert event.app == app


def test_roles_given_and_taken_are_named_and_no_password_is(admin: User) -> None:
    secret = "correct-horse-battery"
    send(admin, "auth_user_add", username="nina", password1=secret, password2=secret, usable_password="true")
    nina = User.objects.get(username="nina")
    assert (last_event().verb, last_event().target) == ("add", "user nina")
    nina.groups.set([team("team-a")])
    viewer = Group.objects.get(name="Viewer")
    send(admin, "auth_user_change", nina.pk, username="nina", is_active="on", email="n@x.example", groups=[viewer.pk])
    changes = last_event().reason
    assert "groups: added Viewer, removed team-a" in changes
    assert "email" in changes
    assert "n@x.example" not in changes
    send(admin, "auth_user_password_change", nina.pk, password1=f"{secret}2", password2=f"{secret}2")
    assert (last_event().verb, last_event().reason) == ("edit", "password")
    nina.refresh_from_db()
    trail = " ".join(f"{event.target} {event.reason}" for event in AuditEvent.objects.all())
    assert secret not in trail
    assert nina.password not in trail


def test_a_team_made_and_deleted_is_on_the_trail(admin: User) -> None:
    send(admin, "auth_group_add", name="team-new")
    assert (last_event().verb, last_event().target) == ("add", "group team-new")
    person("member", "Viewer", "team-new")
    send(admin, "auth_group_delete", Group.objects.get(name="team-new").pk, post="yes")
    assert (last_event().verb, last_event().target) == ("delete", "group team-new")
    assert not Group.objects.filter(name="team-new").exists()

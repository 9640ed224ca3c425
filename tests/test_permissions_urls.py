"""Every URL of the site, as every role, on what belongs to one's own team and to another one."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.test import Client, RequestFactory
from django.urls import URLPattern, get_resolver

from migrations_app.actions import deciding, requesting
from migrations_app.models import (
    Alarm,
    App,
    Approval,
    AuditEvent,
    OutboxMessage,
    Region,
    SourceReplica,
    Subscription,
)
from tests.people import ROLES
from tests.test_permissions import World, everything, reach, world

pytestmark = pytest.mark.django_db

STAFF = (*ROLES, "nobody")
SIDES = ("own", "other")
NOT_IN_SIGHT = {"own": "ours", "other": "theirs"}
"""What names of a side's app, team and database have in common."""


@dataclass(frozen=True)
class Page:
    """`get`, `post`: the row of the matrix that has to allow it; "" for every member of staff, "never" for nobody.

    `ok`: the statuses of GET and POST for those who may. A POST without data does nothing: a form is shown again (200
    in Django's pages, 400 or 409 in ours). `of_app`: it is about a thing of an app; where that is not in sight, the
    status is `hidden`, if `hides_first` whatever rights there are.
    """

    get: str = ""
    post: str = ""
    ok: tuple[int, int] = (200, 200)
    of_app: bool = False
    hidden: tuple[int, int] = (302, 302)  # Django's way to say that there is no such thing
    hides_first: bool = False
    refused: int = 403


def pages_of(model: str, add: str, change: str, delete: str, *, of_app: bool) -> dict[str, Page]:
    """The pages that Django's admin has for a model; looked at by those who may change it, if it is no app's."""
    look = "edit_users" if model.startswith("auth/") else "view"
    return {
        f"admin/{model}/": Page(look, look),
        f"admin/{model}/add/": Page(add, add),
        f"admin/{model}/<path:object_id>/": Page(ok=(302, 302)),
        f"admin/{model}/<path:object_id>/change/": Page(look, change, of_app=of_app),
        f"admin/{model}/<path:object_id>/delete/": Page(delete, delete, of_app=of_app),
        f"admin/{model}/<path:object_id>/history/": Page(look, look, of_app=of_app, hides_first=True),
    }


def verb_page(verb: str, post: int = 409) -> Page:
    """Who has not read the page is shown it; what the rules forbid anyway is a form without a reason."""
    return Page(verb, verb, ok=(200, post), of_app=True, hidden=(404, 404), hides_first=True)


def pressed(verb: str) -> Page:
    """A button that leads back to where it stands."""
    return Page("", verb, ok=(405, 302), of_app=True, hidden=(405, 404))


MOVE = "admin/migrations_app/appmigration"
PAGES = {
    "healthz": Page(),
    "favicon.ico": Page(ok=(302, 302)),
    "": Page(ok=(302, 302)),
    "admin/": Page(),
    "admin/login/": Page(ok=(302, 200)),
    "admin/logout/": Page(ok=(405, 200)),
    "admin/password_change/": Page(),
    "admin/password_change/done/": Page(ok=(200, 405)),
    "admin/autocomplete/": Page("never", ok=(403, 405)),
    "admin/jsi18n/": Page(ok=(200, 405)),
    "admin/r/<path:content_type_id>/<path:object_id>/": Page(ok=(404, 404)),
    "admin/nowhere": Page(ok=(404, 404)),
    "admin/migrations_app/": Page("view", "view", refused=404),
    "admin/auth/": Page("edit_users", "edit_users", refused=404),
    **pages_of("migrations_app/region", "edit_regions", "edit_regions", "never", of_app=False),
    **pages_of("migrations_app/app", "register", "edit_apps", "never", of_app=True),
    **pages_of("migrations_app/appmigration", "never", "never", "never", of_app=True),
    **pages_of("migrations_app/approval", "never", "never", "never", of_app=True),
    **pages_of("migrations_app/alarm", "never", "never", "never", of_app=True),
    **pages_of("migrations_app/sourcereplica", "never", "never", "never", of_app=True),
    **pages_of("migrations_app/subscription", "edit_subscriptions", "edit_subscriptions", "never", of_app=True),
    **pages_of("migrations_app/outboxmessage", "never", "never", "never", of_app=True),
    **pages_of("migrations_app/auditevent", "never", "never", "never", of_app=True),
    # Of tokens there is none; whose they are, tests/admin/test_tokens.py shows.
    "admin/migrations_app/apitoken/": Page("view", "view"),
    "admin/migrations_app/apitoken/add/": Page("view", "view", ok=(200, 400)),
    "admin/migrations_app/apitoken/<int:token_id>/revoke/": Page("view", "view", ok=(405, 404)),
    "admin/migrations_app/apitoken/<path:object_id>/": Page(ok=(302, 302)),
    "admin/migrations_app/apitoken/<path:object_id>/change/": Page("view", "never", ok=(302, 403)),
    "admin/migrations_app/apitoken/<path:object_id>/delete/": Page("never", "never"),
    "admin/migrations_app/apitoken/<path:object_id>/history/": Page(ok=(302, 302)),
    **pages_of("auth/user", "edit_users", "edit_users", "never", of_app=False),
    **pages_of("auth/group", "edit_users", "edit_users", "edit_users", of_app=False),
    # An approval is looked at on the page of its move, which POST leads to as well.
    "admin/migrations_app/approval/<path:object_id>/change/": Page(
        "view", "view", ok=(302, 302), of_app=True, hidden=(302, 403)
    ),
    "admin/auth/user/<id>/password/": Page("edit_users", "edit_users"),
    "admin/new-move/": Page("request", "request", ok=(200, 400)),
    "admin/new-move/where/": Page("request", ok=(200, 405)),
    "admin/new-move/look/": Page("request", ok=(200, 405)),
    "admin/find/": Page(ok=(302, 302)),
    "admin/live/": Page(ok=(200, 405)),
    f"{MOVE}/<uuid:move_id>/live/": Page("view", ok=(200, 405), of_app=True, hidden=(404, 405), hides_first=True),
    "admin/migrations_app/sourcereplica/<uuid:move_id>/live/": Page(
        "view", ok=(200, 405), of_app=True, hidden=(404, 405), hides_first=True
    ),
    "admin/migrations_app/auditevent/export/<str:kind>/": Page("export_audit", "export_audit"),
    **{
        f"admin/migrations_app/{model}/export/<str:kind>/": Page("view", "view")
        for model in ("app", "appmigration", "region", "sourcereplica")
    },
    # Without the version of the key that was looked at nothing is done; nor is what was sent sent again.
    "admin/migrations_app/subscription/<int:subscription_id>/key/": pressed("edit_subscriptions"),
    "admin/migrations_app/subscription/<int:subscription_id>/rotate/": pressed("edit_subscriptions"),
    "admin/migrations_app/outboxmessage/<int:message_id>/again/": pressed("resend"),
    f"{MOVE}/<uuid:move_id>/approve/": verb_page("approve"),
    f"{MOVE}/<uuid:move_id>/reject/": verb_page("reject"),
    f"{MOVE}/<uuid:move_id>/withdraw/": verb_page("withdraw"),
    f"{MOVE}/<uuid:move_id>/abort/": verb_page("abort", post=400),
    f"{MOVE}/<uuid:move_id>/retry/": verb_page("retry", post=400),
    f"{MOVE}/<uuid:move_id>/reverse/": verb_page("reverse"),
    f"{MOVE}/<uuid:move_id>/teardown/": verb_page("teardown", post=400),
    f"{MOVE}/<uuid:move_id>/keep/": verb_page("keep"),
    f"{MOVE}/<uuid:move_id>/comment/": Page("", "comment", (302, 302), True, hidden=(302, 404), hides_first=True),
}
FRAGMENTS = ("/live/", "/where/", "/look/")
"""What the browser asks for by itself: it is told that nobody is logged in, and gets no login form."""
OPEN_TO_ALL = {"healthz", "favicon.ico", "admin/login/"}


def routes(patterns: Any = None, before: str = "") -> Iterator[str]:
    """Every route of the site but those of programs, which do not log in (tests/api); one with a choice of words in it
    for each word."""
    for entry in get_resolver().url_patterns if patterns is None else patterns:
        route = before + str(entry.pattern)
        if route in ("v1/", "mcp"):
            continue
        if not isinstance(entry, URLPattern):
            yield from routes(entry.url_patterns, route)
            continue
        words = re.search(r"\(\?P<app_label>([\w|]+)\)", route)
        for word in words[1].split("|") if words else [""]:
            concrete = route.replace(words[0], word) if words else route
            yield re.sub(r"\(\?P<url>\.\*\)", "nowhere", concrete).replace("^", "").replace("$", "")


def address(route: str, things: dict[str, Any]) -> str:
    """The route to that side's thing: `things` knows it by the name in the route, or by the model's."""
    model = route.split("/")[2] if route.count("/") > 2 else ""
    known = {**things, "object_id": things.get(model, things["app"])}
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda found: str(known[found[1]]), route)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, settings: LazySettings, caplog: pytest.LogCaptureFixture) -> World:
    """Preflight finds nothing, and Django does not log what is refused."""
    caplog.set_level(logging.CRITICAL, logger="django.request")
    settings.MOVES_FOUR_EYES = frozenset({"move", "teardown"})
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    for module in (requesting, deciding):
        monkeypatch.setattr(module, "look", lambda row: [])
    return world()


def things_of(here: World, side: str) -> dict[str, Any]:
    """A completed move of the side's app, a replica whose teardown waits for approval, and events about both."""
    move = here.teardown_asked(side)
    user = User.objects.get(username="asker")
    alarm = Alarm.objects.create(code="slot_lost", about=f"replica {side}", sentence=move.app.slug, migration=move)
    told = Subscription.objects.create(
        name=f"of {move.app}", team=move.app.owner, channel="mail", target="a@example.com"
    )
    event = AuditEvent.objects.filter(migration=move).latest("id")
    message = OutboxMessage.objects.create(subscription=told, event=event, migration=move, type="move.comment")
    return {
        "subscription": told.pk,
        "subscription_id": told.pk,
        "outboxmessage": message.pk,
        "message_id": message.pk,
        "app": move.app.pk,
        "app_id": move.app.pk,
        "appmigration": move.pk,
        "move_id": move.pk,
        "approval": Approval.objects.get(migration=move).pk,
        "sourcereplica": SourceReplica.objects.get(migration=move).pk,
        "alarm": alarm.pk,
        "auditevent": event.pk,
        "region": Region.objects.get(slug="us-east-1").pk,
        "user": user.pk,
        "id": user.pk,
        "apitoken": 0,
        "token_id": 0,
        "group": Group.objects.get(name="team-ours").pk,
        "kind": "csv",
        "content_type_id": ContentType.objects.get_for_model(App).pk,
    }


def expected(page: Page, who: str, side: str, method: str) -> int:
    """From the matrix alone."""
    is_post = method == "post"
    row = page.post if is_post else page.get
    hidden = page.of_app and side not in reach(who, "view")
    if hidden and page.hides_first:
        return page.hidden[is_post]
    if row == "never" or (row and not reach(who, row)):
        return page.refused
    return page.hidden[is_post] if hidden else page.ok[is_post]


def body(response: Any) -> str:
    content = b"".join(response.streaming_content) if response.streaming else response.content
    return content.decode()


def test_every_url_has_a_row() -> None:
    found = set(routes())
    assert found == set(PAGES)


@pytest.mark.parametrize(
    "who", [pytest.param(who, marks=pytest.mark.slow) if who in ("Requester", "Approver") else who for who in STAFF]
)
def test_every_url_keeps_to_the_matrix_and_shows_nothing_of_other_teams(here: World, who: str) -> None:
    things = {side: things_of(here, side) for side in SIDES}
    secret = [word for side, word in NOT_IN_SIGHT.items() if side not in reach(who, "view")]
    user = here.people[who]
    assert user
    got, wanted, leaks = {}, {}, []
    before, client = everything(), Client()
    client.force_login(user)
    for (route, page), side, method in product(PAGES.items(), SIDES, ("get", "post")):
        if side == "other" and "<" not in route:
            continue
        url = address(route, things[side])
        with transaction.atomic():
            response = getattr(client, method)(url)
            shown = body(response)
            if method == "post":
                assert everything() == before, url
                transaction.set_rollback(True)
        if "logout" in route:
            client.force_login(user)
        got[method, url, side] = response.status_code
        wanted[method, url, side] = expected(page, who, side, method)
        leaks += [(method, url, word) for word in secret if word in shown]
    assert {key: status for key, status in got.items() if status != wanted[key]} == {
        key: status for key, status in wanted.items() if status != got[key]
    }
    assert leaks == []
    assert everything() == before


@pytest.mark.parametrize("whoever", ["anonymous", "without staff status", "inactive"])
def test_whoever_is_not_of_the_staff_is_sent_to_the_login(here: World, whoever: str) -> None:
    things, client = things_of(here, "own"), Client()
    if whoever == "without staff status":
        User.objects.filter(username="admin").update(is_staff=False)
        client.force_login(User.objects.get(username="admin"))
    elif whoever == "inactive":
        client.force_login(User.objects.get(username="inactive"))
    before = everything()
    for route, method in product(sorted(set(PAGES) - OPEN_TO_ALL - {""}), ("get", "post")):
        url = address(route, things)
        response = getattr(client, method)(url)
        sent_to = response.headers.get("Location", "")
        if route == "admin/logout/":
            sent_to = client.get(sent_to).headers.get("Location", "")
        polled = {"get": (401, ""), "post": (405, "")}[method] if route.endswith(FRAGMENTS) else None
        assert (response.status_code, sent_to.partition("?")[0]) == (polled or (302, "/admin/login/")), url
        assert "shop" not in body(response)
    assert everything() == before
    assert client.get("/").headers["Location"] == "/admin/"
    assert [client.get(f"/{route}").status_code for route in sorted(OPEN_TO_ALL)] == [200, 302, 200]


@pytest.mark.parametrize("who", [*ROLES, "superuser"])
def test_no_list_offers_an_action_on_many_rows_at_once(here: World, who: str) -> None:
    request = RequestFactory().get("/")
    request.user = here.people[who]  # type: ignore[assignment]
    offered = {
        str(model_admin): list(model_admin.get_actions(request)) for model_admin in admin.site._registry.values()
    }
    assert offered == {str(model_admin): [] for model_admin in admin.site._registry.values()}


@pytest.mark.parametrize("page", ["change/", "password/", "delete/"])
def test_a_superuser_is_changed_by_superusers_only(here: World, page: str) -> None:
    client, root = Client(), User.objects.get(username="root")
    client.force_login(User.objects.get(username="admin"))
    before = User.objects.values().get(pk=root.pk)
    answer = client.post(f"/admin/auth/user/{root.pk}/{page}", {"password1": "x9!kLm3#", "password2": "x9!kLm3#"})
    assert (answer.status_code, User.objects.values().get(pk=root.pk)) == (403, before)


def test_an_admin_makes_nobody_a_superuser_and_gives_no_rights_past_the_roles(here: World) -> None:
    client, viewer = Client(), User.objects.get(username="viewer")
    client.force_login(User.objects.get(username="admin"))
    form = {
        "username": "viewer",
        "is_active": "on",
        "is_staff": "on",
        "is_superuser": "on",
        "groups": [Group.objects.get(name="Admin").pk],
        "user_permissions": [Permission.objects.get(codename="delete_user").pk],
    }
    assert client.post(f"/admin/auth/user/{viewer.pk}/change/", form).status_code == 302
    viewer.refresh_from_db()
    assert (viewer.is_superuser, viewer.user_permissions.exists()) == (False, False)
    assert [group.name for group in viewer.groups.all()] == ["Admin"]

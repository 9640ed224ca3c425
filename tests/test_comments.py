"""What people say about a move: on its trail, for all who see the move."""

from __future__ import annotations

import io
import json

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from migrations_app import actions, audit, queries
from migrations_app.dashboard.commenting import draft
from migrations_app.errors import Forbidden, InvalidInput, NotFound
from migrations_app.models import AppMigration, AuditEvent
from migrations_app.states import Status
from tests import on_paper
from tests.people import PASSWORD, QUICK_HASHERS, ROLES, person

pytestmark = pytest.mark.django_db


@pytest.fixture
def move() -> AppMigration:
    return on_paper.move(on_paper.app("shop"))


@pytest.fixture
def viewer() -> User:
    return person("vera", "Viewer", "team-a")


def texts(move: AppMigration) -> list[tuple[str, str]]:
    return [(said.who, said.text) for said in queries.comments(move)]


@pytest.mark.parametrize("role", ROLES)
def test_whoever_sees_a_move_may_say_something_about_it(move: AppMigration, role: str) -> None:
    user = person("somebody", role, "team-a")
    actions.comment(move_id=move.pk, acting_user=user, text="  The disk is full.\r\nI am on it.\n")
    (said,) = queries.comments(move)
    event = AuditEvent.objects.get()
    assert (said.who, said.text, said.at) == ("somebody", "The disk is full.\nI am on it.", event.at)
    assert (event.verb, event.migration, event.chain) == ("comment", move, str(move.pk))


def test_who_does_not_see_it_learns_nothing_of_it(move: AppMigration) -> None:
    for user in (person("nora", "Requester", "team-b"), person("noll", "", "team-a")):
        with pytest.raises(NotFound):
            actions.comment(move_id=move.pk, acting_user=user, text="hello")
    assert texts(move) == []


def test_a_comment_takes_a_name(move: AppMigration) -> None:
    with pytest.raises(Forbidden) as refused:
        actions.comment(move_id=move.pk, acting_user=None, text="hello")
    assert "--as" in refused.value.hint


@pytest.mark.parametrize("status", Status)
def test_a_move_may_be_talked_about_in_any_state(move: AppMigration, viewer: User, status: Status) -> None:
    pivot_at = "2030-01-01T00:00Z" if status == Status.COMPLETED else None
    move = on_paper.move(on_paper.app("blog"), status=status, pivot_at=pivot_at)
    actions.comment(move_id=move.pk, acting_user=viewer, text="seen")
    move.refresh_from_db()
    assert (texts(move), move.status) == ([("vera", "seen")], status)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "comment_length"),
        (" \n\t ", "comment_length"),
        ("x" * 2001, "comment_length"),
        ("a\x00b", "control_character"),
        ("a\x1b[31mred", "control_character"),
        ("a\rb", "control_character"),
        ("a\x85b", "control_character"),
        ("not \u202edetrever", "control_character"),
        ("half \ud800 a pair", "control_character"),
    ],
)
def test_what_cannot_be_meant_is_refused(move: AppMigration, viewer: User, text: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        actions.comment(move_id=move.pk, acting_user=viewer, text=text)
    assert (refused.value.code, bool(refused.value.hint)) == (code, True)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("text", ["x" * 2000, "a\tb\nc", "日本語 – שלום 👩‍🚒", "<script>alert(1)</script>"])
def test_what_reads_as_it_is_written_is_kept_as_it_is(move: AppMigration, viewer: User, text: str) -> None:
    actions.comment(move_id=move.pk, acting_user=viewer, text=text)
    assert texts(move) == [("vera", text)]


def test_comments_come_in_the_order_they_were_made_and_those_of_this_move_only(
    move: AppMigration, viewer: User
) -> None:
    other = on_paper.move(on_paper.app("blog"))
    for about, text in ((move, "one"), (other, "elsewhere"), (move, "two")):
        actions.comment(move_id=about.pk, acting_user=viewer, text=text)
    assert texts(move) == [("vera", "one"), ("vera", "two")]


def test_they_are_links_of_the_moves_chain(move: AppMigration, viewer: User) -> None:
    for text in ("one", "two"):
        actions.comment(move_id=move.pk, acting_user=viewer, text=text)
    verdict = audit._verdict(AuditEvent.objects.all(), AppMigration.objects.none())
    assert (verdict.problems, verdict.heads[str(move.pk)][0]) == ([], 2)


# -- the form ---------------------------------------------------------------------------------------------------------


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def address(move: AppMigration) -> str:
    return reverse("admin:move_comment", args=[move.pk])


def test_the_form_leads_back_to_the_comments(move: AppMigration, viewer: User) -> None:
    answer = client_of(viewer).post(address(move), {"text": "I am on it."})
    page = reverse("admin:migrations_app_appmigration_change", args=[move.pk])
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{page}#comments")
    assert texts(move) == [("vera", "I am on it.")]


def test_what_was_refused_is_said_and_kept_for_the_form(move: AppMigration, viewer: User) -> None:
    client = client_of(viewer)
    client.get("/admin/")
    answer = client.post(address(move), {"text": "x" * 2001})
    assert answer.headers["Location"].endswith("#comments")
    assert texts(move) == []
    request = answer.wsgi_request
    assert draft(request, move) == "x" * 2001
    assert draft(request, move) == ""
    assert "The comment is 2001 characters long." in client.get(answer.headers["Location"]).content.decode()


def test_other_peoples_moves_cannot_be_commented_on_by_address(move: AppMigration) -> None:
    stranger = person("nora", "Requester", "team-b")
    assert client_of(stranger).post(address(move), {"text": "hello"}).status_code == 404
    assert texts(move) == []


def test_a_look_at_the_address_leads_to_the_comments_and_does_nothing(move: AppMigration, viewer: User) -> None:
    page = reverse("admin:migrations_app_appmigration_change", args=[move.pk])
    answer = client_of(viewer).get(address(move), {"text": "hello"})
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{page}#comments")
    assert texts(move) == []


def test_whoever_comments_when_logged_out_comes_back_to_the_comments(
    move: AppMigration, viewer: User, settings: LazySettings
) -> None:
    settings.PASSWORD_HASHERS = QUICK_HASHERS
    client = Client()
    refused = client.post(address(move), {"text": "hello"})
    assert refused.status_code == 401
    assert "<dd>hello</dd>" in refused.content.decode(), "to be copied where there is no JavaScript"
    login = f"{reverse('admin:login')}?next={address(move)}"
    assert f'href="{login}"' in refused.content.decode()
    assert texts(move) == []
    answer = client.post(login, {"username": "vera", "password": PASSWORD}, follow=True)
    assert answer.status_code == 200
    assert answer.redirect_chain[-1][0].endswith(f"{move.pk}/change/#comments")


def test_without_the_forms_token_nothing_is_said(move: AppMigration, viewer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(viewer)
    assert client.post(address(move), {"text": "hello"}).status_code == 403
    assert texts(move) == []


def test_markup_stays_text_on_the_page(move: AppMigration, viewer: User) -> None:
    actions.comment(move_id=move.pk, acting_user=viewer, text="<img src=x onerror=alert(1)>")
    page = client_of(viewer).get(reverse("admin:migrations_app_appmigration_change", args=[move.pk]))
    assert "<img src=x" not in page.content.decode()


# -- the command ------------------------------------------------------------------------------------------------------


def run(*argv: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command(*argv, stdout=out, stderr=io.StringIO())
    except SystemExit as ended:
        return int(ended.code or 0), out.getvalue()
    return 0, out.getvalue()


def test_the_command_comments_and_the_status_shows_it(move: AppMigration, viewer: User) -> None:
    said = ("manage_migrations", "comment", str(move.pk), "--text", "I am on it.\nGive me ten minutes.")
    assert run(*said)[0] == 4, "without a name"
    status, answer = run(*said, "--as", "vera", "--json")
    assert (status, json.loads(answer)["migration_id"]) == (0, str(move.pk))
    (shown,) = json.loads(run("move_app_status", "shop", "--json")[1])["comments"]
    assert (shown["who"], shown["text"]) == ("vera", "I am on it.\nGive me ten minutes.")
    assert "vera: I am on it. Give me ten minutes." in run("move_app_status", "shop")[1]


def test_the_status_shows_the_last_few_and_cuts_what_is_long(move: AppMigration, viewer: User) -> None:
    for number in range(6):
        actions.comment(move_id=move.pk, acting_user=viewer, text=f"{number}: " + "x" * 500)
    shown = run("move_app_status", "shop")[1]
    assert "vera: 0: x" not in shown
    assert all(f"vera: {number}: {'x' * 197}…\n" in shown for number in range(1, 6))
    assert len(json.loads(run("move_app_status", "shop", "--json")[1])["comments"]) == 6

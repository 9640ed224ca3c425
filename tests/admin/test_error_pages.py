"""What cannot be answered: nonsense in the address, a form of another login, a fault of the portal."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.test import Client
from django.urls import reverse

from migrations_app.dashboard import find
from migrations_app.models import App, AppMigration
from tests.admin.pages import page, send
from tests.people import PASSWORD

IN_THE_PORTALS_DRESS = ("portal/console.css", '<div id="site-name"><a href="/admin/">Region moves</a></div>')
NOT_UNDERSTOOD = (400, "<h1>Not understood</h1>")
LISTED = {
    "migrations_app_app": "slug",
    "migrations_app_appmigration": "status",
    "migrations_app_sourcereplica": "state",
    "migrations_app_region": "slug",
    "migrations_app_approval": "act",
    "migrations_app_alarm": "code",
    "migrations_app_auditevent": "verb",
    "auth_user": "username",
    "auth_group": "name",
}
EXPORTED = [f"migrations_app_{model}" for model in ("app", "appmigration", "sourcereplica", "region", "auditevent")]


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("django.request", "django.security"):
        caplog.set_level(logging.CRITICAL, logger=name)


def said(response: Any) -> tuple[int, str]:
    """The status, and the heading of a page in the portal's dress."""
    html = response.content.decode()
    assert all(part in html for part in IN_THE_PORTALS_DRESS)
    heading = re.search(r"<h1>.*?</h1>", html)
    return response.status_code, heading[0] if heading else ""


# -- nonsense ----------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "field"), [("find", "q"), ("new_move", "app"), ("new_move", "a\0b"), ("login", "next")]
)
def test_a_nul_is_refused_in_an_address(root: User, name: str, field: str) -> None:
    assert said(page(root, name, **{field: "sh\0p"})) == NOT_UNDERSTOOD


@pytest.mark.django_db
def test_a_nul_is_refused_in_a_path(root: User) -> None:
    assert said(page(root, "migrations_app_app_change", "sh\0p")) == NOT_UNDERSTOOD


@pytest.mark.django_db
@pytest.mark.parametrize("given", [{"app": "sh\0p"}, {"app": ["shop", "\0"]}, {"a\0b": "shop"}])
def test_a_nul_is_refused_in_a_form(shop: App, operator: User, given: dict[str, Any]) -> None:
    assert said(send(operator, "new_move", **given)) == NOT_UNDERSTOOD
    assert not AppMigration.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("lookup", ["exact", "in", "regex"])
@pytest.mark.parametrize(("model", "field"), LISTED.items())
def test_nonsense_is_no_filter_of_a_list(shop: App, root: User, model: str, field: str, lookup: str) -> None:
    nonsense = "(" if lookup == "regex" else "\0"
    assert said(page(root, f"{model}_changelist", **{f"{field}__{lookup}": nonsense})) == NOT_UNDERSTOOD


@pytest.mark.django_db
@pytest.mark.parametrize(
    "given",
    [{"id__exact": "\0"}, {"id__regex": "("}, {"id__exact__exact": "1"}, {"app__slug": "shop"}, {"id__in": "no"}],
)
@pytest.mark.parametrize("model", EXPORTED)
def test_nonsense_is_no_filter_of_a_file(shop: App, root: User, model: str, given: dict[str, str]) -> None:
    assert said(page(root, f"{model}_export", "csv", **given)) == NOT_UNDERSTOOD


@pytest.mark.django_db
def test_there_is_no_such_format(root: User) -> None:
    assert said(page(root, "migrations_app_app_export", "exe")) == NOT_UNDERSTOOD


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("model", "given"),
    [
        ("migrations_app_app", {"region__id__exact": "1"}),
        ("migrations_app_app", {"slug": "shop"}),
        ("migrations_app_app", {"owner__isnull": "True"}),
        ("migrations_app_appmigration", {"status__in": "running,aborting"}),
        ("migrations_app_appmigration", {"initiated_at__gte": "2026-01-01", "initiated_at__lt": "2026-02-01"}),
        ("migrations_app_appmigration", {"app__owner__id__exact": "1"}),
        ("migrations_app_approval", {"state": "all"}),
        ("migrations_app_alarm", {"standing": "over"}),
        ("migrations_app_region", {"accepts_moves__exact": "1"}),
        (
            "migrations_app_auditevent",
            {"verb": "abort", "migration__id__exact": "7e1a2c7c-8c36-4a80-9d0c-111111111111"},
        ),
        ("auth_user", {"groups__id__exact": "1", "is_active__exact": "1"}),
    ],
)
def test_what_the_filters_and_links_ask_for_is_listed(root: User, model: str, given: dict[str, str]) -> None:
    assert page(root, f"{model}_changelist", **given).status_code == 200


# -- a form of another login -------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_form_of_another_login_says_so_and_how_to_keep_what_was_written(
    waiting: AppMigration, operator: User
) -> None:
    client = Client(enforce_csrf_checks=True)
    address = reverse("admin:move_comment", args=[waiting.pk])
    form = {"text": "hello", "csrfmiddlewaretoken": log_in(client)}
    del client.cookies["sessionid"]
    log_in(client)
    response = client.post(address, form)
    assert said(response) == (403, "<h1>You logged in anew meanwhile: nothing was done.</h1>")
    assert "<dd>hello</dd>" in response.content.decode()
    assert f'href="{address}">Back to the form</a>' in response.content.decode()


@pytest.mark.django_db
@pytest.mark.parametrize("given", [{"text": "Send your password to me."}, {"other": "x"}])
def test_a_form_without_a_login_is_shown_nothing_that_was_sent(waiting: AppMigration, given: dict[str, str]) -> None:
    """Another site may have sent it."""
    response = Client(enforce_csrf_checks=True).post(reverse("admin:move_comment", args=[waiting.pk]), given)
    assert said(response) == (403, "<h1>Not done</h1>")
    assert "password" not in response.content.decode()


@pytest.mark.django_db
def test_who_is_logged_out_is_shown_what_they_typed_but_no_password(waiting: AppMigration) -> None:
    address = reverse("admin:migrations_app_appmigration_reverse", args=[waiting.pk])
    given = {"reason": "<b>costs", "password": "secret", "confirm": "shop", "csrfmiddlewaretoken": "t0ken"}
    response = Client().post(address, given)
    html = response.content.decode()
    assert said(response) == (401, "<h1>You are logged out: nothing was done.</h1>")
    assert "&lt;b&gt;costs" in html
    assert not any(hidden in html for hidden in ("secret", "t0ken", "<dd>shop"))
    assert "no-store" in response.headers["Cache-Control"]
    empty = Client().post(address, {"reason": "", "password": "secret"})
    assert empty.status_code == 302


def log_in(client: Client) -> str:
    """The token that the forms of this login carry."""
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(reverse("admin:login")).content.decode())
    given = {"username": "olga", "password": PASSWORD, "csrfmiddlewaretoken": token[1] if token else ""}
    client.post(reverse("admin:login"), given)
    shown = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', client.get(reverse("admin:index")).content.decode())
    assert shown is not None
    return shown[1]


# -- a fault -----------------------------------------------------------------------------------------------------------


def test_the_page_about_a_fault_needs_nothing_that_may_be_away() -> None:
    html = render_to_string("500.html")
    assert "<h1>Something went wrong</h1>" in html
    assert all(part in html for part in IN_THE_PORTALS_DRESS)


@pytest.mark.django_db
def test_a_fault_is_told_in_the_portals_dress(operator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(request: HttpRequest) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(find, "user_of", fails)
    client = Client(raise_request_exception=False)
    client.force_login(operator)
    response = client.get(reverse("admin:find"))
    assert said(response) == (500, "<h1>Something went wrong</h1>")
    assert "secret" not in response.content.decode()


def test_a_browser_finds_an_icon_where_no_page_names_one() -> None:
    response = Client().get("/favicon.ico")
    assert response.status_code == 302
    assert response.headers["Location"].endswith("/portal/icons/quiet.svg")

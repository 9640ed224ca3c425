"""The search in the head of every page."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from migrations_app.models import App
from tests import on_paper
from tests.people import person

pytestmark = pytest.mark.django_db

ID = "deadbeef-0000-4000-8000-0000000000{:02x}"


def found(user: User, wanted: str) -> tuple[str, str]:
    """Where it leads, and what is said there."""
    client = Client()
    client.force_login(user)
    response = client.get(reverse("admin:find"), {"q": wanted}, follow=True)
    return response.redirect_chain[0][0], response.content.decode()


@pytest.mark.parametrize("wanted", [ID.format(1), ID.format(1)[:8], "DEADBE", "deadbeef-0000-4"])
def test_the_beginning_of_an_id_is_enough_where_it_is_the_only_one(shop: App, operator: User, wanted: str) -> None:
    move = on_paper.move(shop, id=ID.format(1))
    page = reverse("admin:migrations_app_appmigration_change", args=[move.pk])
    assert found(operator, f" {wanted} ")[0] == page
    assert found(person("sam", "Viewer", "team-b"), wanted)[0] != page, "not of a move that one does not see"


def test_what_was_not_found_is_said(shop: App, operator: User) -> None:
    address, html = found(operator, "deadbeef")
    assert address.endswith("/app/?q=deadbeef")
    assert "No move that you see has an id that begins with deadbeef, and no app is called so." in html
    for number in (1, 2):
        on_paper.move(on_paper.app(f"app-{number}"), id=ID.format(number))
    assert "The ids of several moves begin with deadbeef: give more of it." in found(operator, "deadbeef")[1]


def test_an_app_whose_name_looks_like_an_id_is_found(shop: App, operator: User) -> None:
    facade = on_paper.app("facade")
    assert found(operator, "facade")[0] == reverse("admin:migrations_app_app_change", args=[facade.pk])
    assert found(operator, "dead")[0].endswith("?q=dead"), "too short for an id"

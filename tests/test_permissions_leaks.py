"""The ways in which a list, a picker or a filter could tell of another team's app."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.test import Client

from migrations_app.models import AuditEvent
from tests.test_permissions import World
from tests.test_permissions_urls import NOT_IN_SIGHT, address, body, here, things_of

pytestmark = pytest.mark.django_db

THEIRS, OURS = NOT_IN_SIGHT["other"], NOT_IN_SIGHT["own"]
LISTS = ("app", "appmigration", "approval", "sourcereplica", "auditevent", "alarm")
TEAM = {
    "app": "owner__id__exact",
    "appmigration": "app__owner__id__exact",
    "approval": "migration__app__owner__id__exact",
    "sourcereplica": "app__owner__id__exact",
}

__all__ = ["here"]


@pytest.fixture
def both(here: World) -> tuple[dict[str, Any], dict[str, Any]]:
    """The things of one's own team, and those of the other."""
    return things_of(here, "own"), things_of(here, "other")


def logged_in(here: World, who: str) -> Client:
    client = Client()
    user = here.people[who]
    assert user
    client.force_login(user)
    return client


def the_list(model: str, **query: Any) -> str:
    return f"/admin/migrations_app/{model}/?{urlencode(query)}"


@pytest.mark.parametrize("who", ["Viewer", "Requester", "Approver"])
def test_lists_show_ones_own_however_they_are_searched_and_filtered(here: World, both: Any, who: str) -> None:
    client = logged_in(here, who)
    _, theirs = both
    other_team = Group.objects.get(name="team-theirs").pk
    for model in LISTS:
        queries: list[dict[str, Any]] = [{"q": "shop"}, {"q": "because"}, {"o": "-1"}, {"all": ""}, {"q": ""}]
        if model in TEAM:
            queries.append({TEAM[model]: other_team})
        if model == "approval":
            queries.append({"state": "all"})
        if model == "auditevent":
            queries += [{"app__id__exact": theirs["app"]}, {"migration__id__exact": theirs["move_id"]}]
        for query in queries:
            response = client.get(the_list(model, **query))
            assert (response.status_code, THEIRS in body(response)) == (200, False), (model, query)
        assert OURS in body(client.get(the_list(model, q="shop")))


@pytest.mark.parametrize("who", ["Viewer", "Requester", "Approver"])
def test_events_that_belong_to_no_app_are_for_those_who_see_every_team(here: World, both: Any, who: str) -> None:
    AuditEvent.objects.create(verb="edit", target="region us-east-1", reason="about no app")
    assert "about no app" not in body(logged_in(here, who).get(the_list("auditevent")))
    assert "about no app" in body(logged_in(here, "Operator").get(the_list("auditevent")))


def relations() -> Iterator[tuple[str, str, str]]:
    """Every relation that Django's autocomplete could be asked about."""
    for model in admin.site._registry:
        for field in model._meta.get_fields():
            if field.is_relation and not field.auto_created:
                yield model._meta.app_label, model._meta.model_name or "", field.name


@pytest.mark.parametrize("who", ["Viewer", "Requester", "Approver"])
def test_no_picker_completes_the_name_of_another_teams_app(here: World, both: Any, who: str) -> None:
    client = logged_in(here, who)
    asked = list(relations())
    assert ("migrations_app", "appmigration", "app") in asked
    for app_label, model_name, field_name in asked:
        for term in ("", "shop", "team"):
            query = {"app_label": app_label, "model_name": model_name, "field_name": field_name, "term": term}
            response = client.get(f"/admin/autocomplete/?{urlencode(query)}")
            assert response.status_code in (200, 403), query
            assert THEIRS not in body(response), query


def test_the_teams_to_choose_from_are_ones_own(here: World, both: Any) -> None:
    ours, _ = both
    page = body(logged_in(here, "Requester").get(address("admin/migrations_app/app/<path:object_id>/change/", ours)))
    assert OURS in page
    assert THEIRS not in page


@pytest.mark.parametrize("who", ["Viewer", "Requester", "Approver"])
def test_the_page_of_another_teams_thing_is_answered_like_that_of_nothing(here: World, both: Any, who: str) -> None:
    client = logged_in(here, who)
    for model, page in product(LISTS, ("change", "history")):
        nothing = "00000000-0000-0000-0000-000000000000" if model == "appmigration" else 999_999_999
        theirs, of_nothing = (
            body(client.get(f"/admin/migrations_app/{model}/{pk}/{page}/", follow=True)).replace(f"“{pk}”", "ID")
            for pk in (both[1][model], nothing)
        )
        assert without_tokens(theirs) == without_tokens(of_nothing), (model, page)


def without_tokens(page: str) -> list[str]:
    """And without times: they go on from one page to the next."""
    return [
        re.sub('<time .*?</time>|<meta name="now" .*?>', "", line)
        for line in page.splitlines()
        if "csrfmiddlewaretoken" not in line
    ]


def test_no_filter_asks_through_a_relation_what_other_teams_have(here: World, both: Any) -> None:
    """Whether there is such a thing must not change which rows are shown."""
    client = logged_in(here, "Requester")
    slugs, apps = ("theirs-shop", "no-such-shop"), (both[1]["app"], 999_999_999)
    moves = (both[1]["move_id"], "00000000-0000-0000-0000-000000000000")
    for model, lookup, values in [
        ("region", "apps__slug", slugs),
        ("region", "apps", apps),
        ("region", "apps__id__exact", apps),
        ("region", "moves_to__app__slug", slugs),
        ("region", "moves_from", moves),
        ("appmigration", "source_region__apps__slug", slugs),
        ("appmigration", "dest_region__source_replicas__app__slug", slugs),
        ("app", "region__apps__slug", slugs),
        ("app", "owner__apps__slug", slugs),
        ("approval", "migration__source_region__apps__slug", slugs),
        ("sourcereplica", "region__apps__slug", slugs),
    ]:
        answers = [client.get(the_list(model, **{lookup: value})) for value in values]
        there, nowhere = ((answer.status_code, rows(answer)) for answer in answers)
        assert there == nowhere, (model, lookup)


def rows(response: Any) -> list[str]:
    """The keys of the rows that a list shows; a filter that is not allowed shows none."""
    context = response.context or {}
    return [str(row.pk) for row in context["cl"].result_list] if "cl" in context else []

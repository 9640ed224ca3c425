"""The lists: as files, when they are empty, when they are long."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth.models import User
from django.test import RequestFactory

from migrations_app import spreadsheet
from migrations_app.admin import listing
from migrations_app.engine.reconciler import HEARTBEAT
from migrations_app.models import Alarm, App, AppMigration, Approval, Heartbeat, Region, SourceReplica
from migrations_app.states import Status
from tests import on_paper
from tests.admin.pages import page
from tests.people import person

pytestmark = pytest.mark.django_db

EXPORTED = ("app", "appmigration", "region", "sourcereplica")


def the_list(user: User, model: str, **params: Any) -> str:
    return page(user, f"migrations_app_{model}_changelist", **params).content.decode()


def the_file(user: User, model: str, **params: Any) -> list[dict[str, str]]:
    response = page(user, f"migrations_app_{model}_export", "csv", **params)
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))


# -- as files ----------------------------------------------------------------------------------------------------------


def test_cells_are_plain_and_none_is_a_formula() -> None:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    [header, line] = spreadsheet.csv_lines(["a", "b"], [[None, "=1+1", "@x", 3, at, 'say "no"']])
    assert header == "a,b\r\n"
    assert line == ',\'=1+1,\'@x,3,2026-03-01T12:00:00Z,"say ""no"""\r\n'


@pytest.mark.parametrize(
    ("model", "params", "first", "expected"),
    [
        ("app", {"q": "shop"}, "app", ["shop"]),
        ("app", {"region__id__exact": "us-east-1"}, "app", ["plain"]),
        ("appmigration", {"status__exact": "completed"}, "app", ["shop"]),
        ("appmigration", {"o": "0"}, "app", ["plain", "shop"]),
        ("appmigration", {"o": "-0"}, "app", ["shop", "plain"]),
        ("region", {"q": "east"}, "region", ["us-east-1"]),
        ("sourcereplica", {"state__exact": "torn_down"}, "app", []),
        ("sourcereplica", {}, "app", ["shop"]),
    ],
)
def test_a_file_has_what_the_list_shows(
    move: AppMigration, operator: User, model: str, params: dict[str, str], first: str, expected: list[str]
) -> None:
    on_paper.move(on_paper.app("plain"), status=Status.HELD)
    if "region__id__exact" in params:
        params = {"region__id__exact": str(Region.objects.get(slug=params["region__id__exact"]).pk)}
    assert [row[first] for row in the_file(operator, model, **params)] == expected
    html = the_list(operator, model, **params)
    assert "/export/csv/" in html
    assert all(f">{name}<" in html for name in expected)


def test_a_file_has_all_pages_of_the_list(operator: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(listing.Listed, "list_per_page", 2)
    monkeypatch.setattr(listing, "MOST_LISTED", 4)
    for number in range(6):
        on_paper.app(f"app-{number}")
    assert len(the_file(operator, "app", p="2")) == 6
    html = the_list(operator, "app")
    assert "More are not counted" in html
    assert "?p=2" in html
    assert "app-5" not in html


def test_what_people_wrote_stays_text_in_a_file(operator: User) -> None:
    on_paper.move(on_paper.app("shop"), reason="=HYPERLINK(1)", last_error="+1\n@2", status=Status.HELD)
    [row] = the_file(operator, "appmigration")
    assert (row["reason"], row["last_error"]) == ("'=HYPERLINK(1)", "'+1\n@2")


@pytest.mark.parametrize("model", EXPORTED)
def test_a_file_has_nothing_of_other_teams(model: str) -> None:
    for team in ("team-a", "secret-team"):
        on_paper.completed(on_paper.app(f"{team}-app", owner=team, home="us-east-1"))
    for row in the_file(person("vera", "Viewer", "team-a"), model):
        assert "secret" not in " ".join(row.values())
        assert {"apps", "replicas"} - set(row) or (row["apps"], row["replicas"]) in [("1", "0"), ("0", "1")]
    nobody = person("norma", "", "team-a")
    assert page(nobody, f"migrations_app_{model}_export", "csv").status_code == 403


@pytest.mark.parametrize(
    ("kind", "params"), [("exe", {}), ("csv", {"app__region__apps__slug": "x"}), ("csv", {"pk__in": "no"})]
)
def test_a_file_of_nonsense_is_a_bad_request(operator: User, kind: str, params: dict[str, str]) -> None:
    assert page(operator, "migrations_app_appmigration_export", kind, **params).status_code == 400


# -- empty -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "sentence", "action"),
    [
        ("sourcereplica", "No replica is retained. A completed move leaves one.", "Moves"),
        ("appmigration", "No app that you see was ever moved.", "Apps"),
        ("app", "No app is on the books.", "Register one"),
        ("region", "There is no region yet. An admin adds them.", ""),
        ("approval", "Nothing waits for approval.", "What was decided"),
        ("alarm", "Nothing that you see is wrong now.", "What is over"),
        ("auditevent", "Nothing has happened yet to an app that you see.", "Apps"),
    ],
)
def test_an_empty_list_says_so_and_what_to_do(operator: User, model: str, sentence: str, action: str) -> None:
    Heartbeat.objects.create(name=HEARTBEAT)  # else nobody says that nothing is wrong
    html = the_list(operator, model)
    assert sentence in html
    assert action in html.split(sentence)[1].split("</p>")[0]
    assert "0 results" not in html.split(sentence)[1]


def test_a_search_without_a_find_leads_back_to_all(shop: App, operator: User) -> None:
    for params in ({"q": "nowhere"}, {"owner__isnull": "True"}):
        html = the_list(operator, "app", **params)
        assert "None is like that." in html
        assert 'href="/admin/migrations_app/app/">Show all that there are</a>' in html
    assert "None is like that." not in the_list(operator, "app")


# -- what is searched for ----------------------------------------------------------------------------------------------


def test_a_search_is_not_counted_beyond_the_page_after(operator: User, monkeypatch: Any) -> None:
    monkeypatch.setattr(listing.Listed, "list_per_page", 2)
    app = on_paper.app("shop")
    for number in range(5):
        on_paper.move(app, reason=f"Cheaper {number}", status=Status.FAILED)
    pages = [the_list(operator, "appmigration", q="cheap", p=str(page)) for page in (1, 2, 3)]
    assert ["More than 2 found." in pages[0], "More than 4 found." in pages[1], "5 found." in pages[2]] == [True] * 3
    rows = [html.count('class="field-state"') for html in pages]
    assert rows == [2, 2, 1]
    assert "p=2" in pages[0]
    assert "p=3" not in pages[0], "nobody knows yet whether there is one"
    assert len(the_file(operator, "appmigration", q="cheap", p="2")) == 5


def test_of_what_is_joined_the_last_word_is_begun_and_the_others_are_whole(operator: User) -> None:
    app = on_paper.app("billing")
    for reason in ("Away from rack shop-12", "Away from rack shopping-12"):
        on_paper.move(app, reason=reason, status=Status.FAILED)
    found = {searched: len(the_file(operator, "appmigration", q=searched)) for searched in _SEARCHED}
    assert found == _SEARCHED


_SEARCHED = {"shop-1": 1, "shop 12": 2, "sho": 2, "sho-12": 0, "12 shop-": 2, "rack-shopping-12": 1, "--": 0}


# -- filters -----------------------------------------------------------------------------------------------------------


def test_filters_say_what_is_chosen(move: AppMigration, operator: User) -> None:
    html = the_list(operator, "appmigration", status__exact="completed")
    assert "<summary>Status: <strong>Completed</strong></summary>" in html
    assert ">Clear</a>" in html
    assert ">Clear</a>" not in the_list(operator, "appmigration")


def test_alarms_are_filtered_by_region(operator: User) -> None:
    here, there = on_paper.region("here"), on_paper.region("there")
    for region in (here, there):
        Alarm.objects.create(code="region_away", about=f"region {region}", sentence=f"{region} is away", region=region)
    html = the_list(operator, "alarm", region__id__exact=str(here.pk))
    assert "here is away" in html
    assert "there is away" not in html


def test_what_there_was_is_there_to_be_asked_for(move: AppMigration, operator: User) -> None:
    Approval.objects.update(state="void")
    SourceReplica.objects.update(state="torn_down")
    assert "Nothing waits for approval." in the_list(operator, "approval")
    assert "None is like that." not in the_list(operator, "approval", state="all")
    assert "shop" in the_list(operator, "sourcereplica")


def test_addresses_of_filters_are_djangos(move: AppMigration, operator: User) -> None:
    request = RequestFactory().get("/", {"status__in": "held,running", "kind__exact": "move", "q": "a b&c=ü"})
    request.user = operator
    listed = admin.site._registry[AppMigration].get_changelist_instance(request)
    changes: list[tuple[Any, Any]] = [
        (None, None),
        ({"o": "-1.2", "kind__exact": None}, ["status"]),
        ({"is_open": True, "n": 3, "several": ["x", "ü"]}, ["status", "app"]),
        ({"never": None}, []),
    ]
    for new, remove in changes:
        assert listed.get_query_string(new, remove) == ChangeList.get_query_string(listed, new, remove)

"""The admin's lists, the export, and what its pages are made of."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from migrations_app import actions
from migrations_app.models import App, AppMigration
from migrations_app.states import Status
from tests import on_paper
from tests.admin.pages import MODELS, page, things
from tests.people import person

pytestmark = pytest.mark.django_db

# -- the trail as a file ----------------------------------------------------------------------------------------------


def export(user: User, kind: str, **filters: str) -> Any:
    return page(user, "migrations_app_auditevent_export", kind, **filters)


def test_the_filtered_list_is_exported(move: AppMigration, operator: User) -> None:
    actions.note_edit(verb="edit", target="region x", changes="y", acting_user=operator)
    response = export(operator, "csv", verb="request_teardown")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"].startswith('attachment; filename="audit-20')
    rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))
    assert [(row["verb"], row["reason"]) for row in rows] == [("request_teardown", "'=1+1")], "no formula"
    lines = b"".join(export(operator, "jsonl", q="region x").streaming_content).decode().splitlines()
    assert [json.loads(line)["target"] for line in lines] == ["region x"]


def test_an_export_needs_the_right_and_shows_what_is_in_sight(move: AppMigration, operator: User) -> None:
    viewer = person("vera", "Viewer", "team-a")
    assert export(viewer, "csv").status_code == 403
    assert "Export as CSV" not in page(viewer, "migrations_app_auditevent_changelist").content.decode()
    assert (
        "Export as CSV"
        in page(User.objects.get(username="olga"), "migrations_app_auditevent_changelist").content.decode()
    )
    on_paper.app("theirs", owner="team-b")
    auditor = person("otto", "Viewer", "team-b")
    auditor.user_permissions.add(Permission.objects.get(codename="export_audit"))
    assert b"".join(export(auditor, "jsonl").streaming_content) == b""


@pytest.mark.parametrize(("kind", "filters"), [("exe", {}), ("csv", {"at__year": "no-year"})])
def test_an_export_of_nonsense_is_a_bad_request(admin: User, kind: str, filters: dict[str, str]) -> None:
    assert export(admin, kind, **filters).status_code == 400


# -- pages ------------------------------------------------------------------------------------------------------------


def test_what_people_and_regions_say_is_escaped(move: AppMigration, root: User) -> None:
    evil = "<script>alert(1)</script>"
    AppMigration.objects.filter(pk=move.pk).update(
        reason=evil,
        last_error=evil,
        status=Status.HELD,
        preflight=[{"check": "versions", "outcome": "fail", "found": evil, "why": evil, "remedy": evil}],
        verification={
            "equal": False,
            "rows": 1,
            "seconds": 0.1,
            "findings": [{"kind": "table", "name": evil, "equal": False, "source": evil, "dest": evil}],
        },
    )
    move.step_runs.create(step="dumping_data", reason=evil, acts=[{"at": "2026-01-01T00:00:00+00:00", "text": evil}])
    for name in ("change", "retry", "approve"):
        assert evil not in page(root, f"migrations_app_appmigration_{name}", move.pk).content.decode()
    assert "&lt;script&gt;" in page(root, "migrations_app_appmigration_change", move.pk).content.decode()


def test_pages_carry_no_script_or_style_of_their_own(move: AppMigration, root: User) -> None:
    for model, thing in things(move).items():
        for html in (
            page(root, f"migrations_app_{model}_changelist").content.decode(),
            page(root, f"migrations_app_{model}_change", thing.pk).content.decode(),
        ):
            assert " style=" not in html
            assert "<style" not in html
            assert "<script>" not in html


def test_every_page_of_the_move_names_its_part_of_the_trail(move: AppMigration, root: User) -> None:
    for model in ("region", "app", "appmigration", "sourcereplica"):
        html = page(root, f"migrations_app_{model}_change", things(move)[model].pk).content.decode()
        assert f"{reverse('admin:migrations_app_auditevent_changelist')}?" in html


@pytest.mark.parametrize("model", [*(f"migrations_app_{model}" for model in MODELS), "auth_user", "auth_group"])
def test_lists_ask_no_more_for_more_rows(settings: Any, root: User, model: str) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"teardown"})

    def grow(rows: range) -> int:
        for number in rows:
            asking = person(f"person-{number}", "Viewer", f"team-{number}")
            app = on_paper.app(f"app-{number}", owner=f"team-{number}", home=f"home-{number}")
            done = on_paper.completed(app, dest=f"dest-{number}")
            AppMigration.objects.filter(pk=done.pk).update(requested_by=asking)
            actions.teardown(move_id=done.pk, acting_user=None, confirm=app.slug, reason="costs")
            on_paper.move(App.objects.get(pk=app.pk), dest=f"third-{number}")
        with CaptureQueriesContext(
            connection,
        ) as queries:
            assert page(root, f"{model}_changelist").status_code == 200
        return len(queries)

    grow(range(1))
    assert grow(range(1, 4)) == grow(range(4, 13))

"""Who sees what in the admin, and who may not."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from migrations_app.models import AppMigration, Approval, AuditEvent
from migrations_app.states import Status
from tests import on_paper
from tests.admin.pages import of_move, page, send, verb
from tests.people import person

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("method", [page, send])
def test_a_verb_that_the_role_lacks_is_forbidden(waiting: AppMigration, approver: User, method: Any) -> None:
    viewer = person("vera", "Viewer", "team-a")
    for name in ("approve", "reject", "abort", "retry", "reverse", "teardown"):
        assert method(viewer, verb(name), waiting.pk).status_code == 403
    assert method(viewer, "new_move", app="shop").status_code == 403
    assert method(approver, verb("abort"), waiting.pk).status_code == 403


@pytest.mark.parametrize("method", [page, send])
def test_what_is_out_of_sight_does_not_exist(waiting: AppMigration, method: Any) -> None:
    stranger = person("sam", "Requester", "team-b")
    for name in ("abort", "reverse", "withdraw"):
        assert method(stranger, verb(name), waiting.pk).status_code == 404
        assert method(stranger, verb(name), uuid.uuid4()).status_code == 404


def test_lists_and_filters_name_no_other_teams(waiting: AppMigration) -> None:
    on_paper.completed(on_paper.app("secret-app", owner="secret-team"))
    on_paper.completed(on_paper.app("plain", owner="team-c"))
    watcher = person("wanda", "Viewer", "team-a", "team-c")
    for model in ("app", "appmigration", "sourcereplica", "approval", "auditevent"):
        html = page(watcher, f"migrations_app_{model}_changelist").content.decode()
        assert "secret" not in html, model
    assert "team-c" in page(watcher, "migrations_app_appmigration_changelist").content.decode()


def test_the_page_of_what_is_out_of_sight_is_that_of_an_unknown_id(waiting: AppMigration) -> None:
    stranger = person("sam", "Requester", "team-b")
    approval, event = Approval.objects.get(), AuditEvent.objects.filter(migration=waiting).first()
    assert event is not None
    for thing in (waiting, waiting.app, approval, event):
        name = f"migrations_app_{thing._meta.model_name}_change"
        response = page(stranger, name, thing.pk)
        assert (response.status_code, response.url) == (302, reverse("admin:index"))


def test_without_a_role_there_is_nothing_to_see(waiting: AppMigration) -> None:
    nobody = person("norma", "", "team-a")
    assert of_move(nobody, waiting).status_code == 403
    assert page(nobody, "migrations_app_appmigration_changelist").status_code == 403


def test_posts_without_the_token_change_nothing(waiting: AppMigration, operator: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(operator)
    response = client.post(reverse(f"admin:{verb('abort')}", args=[waiting.pk]), {"reason": "from another site"})
    assert response.status_code == 403
    waiting.refresh_from_db()
    assert waiting.status == Status.AWAITING_APPROVAL

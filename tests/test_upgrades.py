"""Books kept by an earlier version, after `migrate`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.state import StateApps

from migrations_app import audit
from migrations_app.models import AppMigration, AuditEvent, SourceReplica
from tests.people import person

pytestmark = pytest.mark.django_db(transaction=True)


def migrate(to: str = "") -> StateApps:
    """Bring the database to that schema, or to the newest; the models as they are then."""
    executor = MigrationExecutor(connection)
    targets = [("migrations_app", to)] if to else executor.loader.graph.leaf_nodes("migrations_app")
    return executor.migrate(targets).apps


@pytest.fixture
def first_version() -> Iterator[StateApps]:
    yield migrate("0001_initial")
    Group.objects.all().delete()
    migrate()


def test_the_books_of_the_first_version_are_kept(first_version: StateApps) -> None:
    """Moves that were at `requested`, running as it was called then, one of them begun; and one that was over."""

    def model(name: str) -> Any:
        return first_version.get_model("migrations_app", name).objects

    us, eu = (model("Region").create(slug=slug, database="host=127.0.0.1") for slug in ("us-east-1", "eu-west-1"))
    moves = {}
    for slug, status in (("not-begun", "running"), ("begun", "running"), ("over", "aborted")):
        app = model("App").create(slug=slug, region=us, database=slug)
        moves[slug] = model("AppMigration").create(
            app=app, source_region=us, dest_region=eu, status=status, reason="closer"
        )
    for verb, status in (("request", "queued"), ("start", "running"), ("abort", "aborted")):
        model("AuditEvent").create(verb="edit", reason="of no move")
        for move in moves.values():
            if status in ("queued", move.status):
                model("AuditEvent").create(verb=verb, migration=move, app=move.app, to_status=status)
    moves["begun"].step_runs.create(step="requested", direction="do", attempt=1, status="done")
    model("SourceReplica").create(
        migration=moves["over"], app=moves["over"].app, region=us, created_at="2025-03-01T12:00Z"
    )
    migrate()

    verdict = audit.verify()
    assert (verdict.problems, verdict.events) == ([], 10)
    assert sorted(number for number, _ in verdict.heads.values()) == [2, 2, 3, 3]
    found = {slug: AppMigration.objects.get(pk=move.pk).status for slug, move in moves.items()}
    assert found == {"not-begun": "queued", "begun": "running", "over": "aborted"}
    event = AuditEvent.objects.filter(migration=moves["not-begun"].pk).latest("id")
    assert (event.verb, event.from_status, event.to_status) == ("requeue", "running", "queued")
    review_at = SourceReplica.objects.get().review_at
    assert f"{review_at:%Y-%m-%d %H:%M}" == "2025-03-15 12:00", "kept for two weeks from then"


def test_a_team_named_like_a_role_has_to_be_renamed_first(first_version: StateApps) -> None:
    Group.objects.filter(name="Operator").delete()
    team = Group.objects.create(name="Operator")
    user = person("ann", "Operator")
    with pytest.raises(RuntimeError, match="about to become roles: Operator"):
        migrate()
    team.user_set.remove(user)
    migrate()
    assert Group.objects.get(name="Operator").permissions.exists()

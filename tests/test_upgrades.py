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


@pytest.fixture
def old_move(first_version: StateApps) -> Any:
    """A move whose worker was at `requested`, running as it was called then, and another one's trail beside it."""

    def model(name: str) -> Any:
        return first_version.get_model("migrations_app", name).objects

    us, eu = (model("Region").create(slug=slug, database="host=127.0.0.1") for slug in ("us-east-1", "eu-west-1"))
    moves = []
    for slug, status in (("shop", "running"), ("blog", "aborted")):
        app = model("App").create(slug=slug, region=us, database=slug)
        moves.append(
            model("AppMigration").create(app=app, source_region=us, dest_region=eu, status=status, reason="closer")
        )
    for verb, status in (("request", "queued"), ("start", "running"), ("abort", "aborted")):
        model("AuditEvent").create(verb="edit", reason="of no move")
        for move in moves:
            if status in ("queued", move.status):
                model("AuditEvent").create(verb=verb, migration=move, app=move.app, to_status=status)
    return moves[0]


def test_a_trail_from_before_there_were_chains_is_whole(old_move: Any) -> None:
    migrate()
    verdict = audit.verify()
    assert (verdict.problems, verdict.events) == ([], 8)
    assert sorted(number for number, _ in verdict.heads.values()) == [2, 3, 3]


def test_a_move_that_had_not_begun_goes_back_to_the_queue(old_move: Any) -> None:
    migrate()
    move = AppMigration.objects.get(pk=old_move.pk)
    assert move.status == "queued"
    event = AuditEvent.objects.filter(migration=move).latest("id")
    assert (event.verb, event.from_status, event.to_status) == ("requeue", "running", "queued")


def test_a_move_that_had_begun_stays_as_it_is(old_move: Any) -> None:
    old_move.step_runs.create(step="requested", direction="do", attempt=1, status="done")
    migrate()
    assert AppMigration.objects.get(pk=old_move.pk).status == "running"


def test_a_replica_from_before_is_kept_for_two_weeks_from_then(old_move: Any, first_version: StateApps) -> None:
    first_version.get_model("migrations_app", "SourceReplica").objects.create(
        migration=old_move, app=old_move.app, region=old_move.source_region, created_at="2025-03-01T12:00Z"
    )
    migrate()
    assert f"{SourceReplica.objects.get().review_at:%Y-%m-%d %H:%M}" == "2025-03-15 12:00"


def test_a_team_named_like_a_role_has_to_be_renamed_first(first_version: StateApps) -> None:
    Group.objects.filter(name="Operator").delete()
    team = Group.objects.create(name="Operator")
    user = person("ann", "Operator")
    with pytest.raises(RuntimeError, match="about to become roles: Operator"):
        migrate()
    team.user_set.remove(user)
    migrate()
    assert Group.objects.get(name="Operator").permissions.exists()

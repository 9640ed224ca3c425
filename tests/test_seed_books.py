"""The books on paper: what tests and benchmarks of the surfaces stand on."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import F

from migrations_app import audit
from migrations_app.models import App, AppMigration, Approval, AuditEvent, SourceReplica, StepRun
from migrations_app.states import ApprovalState, Kind, ReplicaState, RunStatus, Status
from portal.sandbox.paper import Wanted, fill
from tests import on_paper
from tests.people import establish_roles

pytestmark = pytest.mark.django_db(transaction=True)

SMALL = Wanted(apps=20, moves=200, events=2000, live=5)


@pytest.fixture
def filled() -> dict[str, int]:
    establish_roles()
    return fill(SMALL)


def test_there_are_as_many_as_were_wanted_of_every_kind_and_end(filled: dict[str, int]) -> None:
    assert (filled["apps"], filled["audit events"]) == (20, 2000)
    over = AppMigration.objects.filter(completed_at__isnull=False)
    assert (over.count(), AppMigration.objects.filter(status=Status.RUNNING).count()) == (200, 5)
    assert set(AppMigration.objects.values_list("status", flat=True)) == set(Status)
    assert set(AppMigration.objects.values_list("kind", flat=True)) == set(Kind)
    assert SourceReplica.objects.filter(state=ReplicaState.RETAINED).exclude(problem="").exists()
    assert Approval.objects.filter(state=ApprovalState.OPEN, act="teardown").exists()
    assert set(StepRun.objects.values_list("status", flat=True)) == set(RunStatus)


def test_the_audit_trail_verifies_and_takes_events_as_ever(filled: dict[str, int]) -> None:
    assert audit.verify().problems == []
    move = AppMigration.objects.filter(status=Status.COMPLETED).earliest("initiated_at")
    last = move.audit_events.latest("number")
    added = AuditEvent.objects.create(verb="comment", migration=move, at="2001-01-01T00:00Z", number=7)
    added.refresh_from_db()
    assert (added.number, added.previous_hash, added.at > last.at) == (last.number + 1, last.hash, True)
    assert audit.verify().problems == []


def test_each_move_begins_where_the_last_one_left_the_app(filled: dict[str, int]) -> None:
    for app in App.objects.all():
        at = None
        for move in app.migrations.order_by("initiated_at"):
            assert at in (None, move.source_region_id)
            at = move.dest_region_id if move.pivot_at else move.source_region_id
        assert app.region_id == at
    astray = AppMigration.objects.filter(reverses__isnull=False).exclude(source_region=F("reverses__dest_region"))
    assert not astray.exists()


def test_the_same_numbers_make_the_same_moves(filled: dict[str, int]) -> None:
    first = AppMigration.objects.filter(completed_at__isnull=False).earliest("initiated_at")
    assert (str(first.pk), filled["step runs"]) == ("7705d644-c07b-471b-89a4-71a2f80dbdc5", 1822)


def test_it_is_refused_where_there_are_apps(db: Any, capsys: Any) -> None:
    on_paper.app("shop")
    with pytest.raises(SystemExit) as refused:
        call_command("seed_books", "--apps", "20", "--moves", "200", "--events", "2000", "--live", "5")
    assert refused.value.code == 4
    assert "There are apps on the books." in capsys.readouterr().err

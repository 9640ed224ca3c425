"""A replica's page: whether it is a way back, and how far behind it was."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from migrations_app.dashboard.replica_page import lag_charts
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import ReplicaState
from tests.admin.pages import page
from tests.people import person

pytestmark = pytest.mark.django_db


def the_page(user: User, replica: SourceReplica) -> str:
    return page(user, "migrations_app_sourcereplica_change", replica.pk).content.decode()


def test_lag_is_drawn_from_what_the_watch_noted(move: AppMigration, operator: User) -> None:
    replica = move.source_replica
    at = [f"2026-03-01T12:{minute:02}:00+00:00" for minute in (0, 5, 10, 15)]
    replica.history = [[at[0], 3_000_000, 2.5], [at[1], None, None], [at[2], 1_000, None], [at[3], 2_000, 0.5]]
    amount, time = lag_charts(replica)
    assert [row.value for row in amount.rows] == ["2.0 kB", "1.0 kB", "3.0 MB"]
    assert time.points == [], "two make no line"
    replica.save()
    html = the_page(operator, replica)
    assert html.count("<svg viewBox") == 1
    assert "the greatest 3.0 MB" in html


def test_of_very_many_samples_the_worst_are_drawn(move: AppMigration) -> None:
    replica = move.source_replica
    first = timezone.now()
    times = [(first + timedelta(minutes=number)).isoformat() for number in range(288)]
    replica.history = [[at, number % 3, 999.0 if number == 100 else 0] for number, at in enumerate(times)]
    amount, time = lag_charts(replica)
    assert len(amount.points) == 36
    assert {point.value for point in amount.sorted_points} == {2}
    assert max(point.value for point in time.sorted_points) == 999


def test_one_that_was_never_watched_says_so(move: AppMigration, operator: User) -> None:
    assert the_page(operator, move.source_replica).count("a line needs three of them") == 2


def test_the_page_says_first_whether_one_could_go_back(move: AppMigration, operator: User) -> None:
    replica = move.source_replica
    assert "shop could go back to us-east-1." in the_page(operator, replica)
    SourceReplica.objects.update(state=ReplicaState.TORN_DOWN, ended_at=timezone.now())
    html = the_page(operator, replica)
    assert "could go back" not in html
    assert "The replica in us-east-1 was torn down: there is no way back." in html


def test_what_the_regions_say_is_escaped(move: AppMigration, operator: User) -> None:
    evil = "<script>1</script>"
    acts = [{"at": "2026-03-01T12:00:00+00:00", "text": evil}]
    SourceReplica.objects.update(problem=evil, last_error=evil, acts=acts)
    html = the_page(operator, move.source_replica)
    assert evil not in html
    assert html.count("&lt;script&gt;1") == 3


def test_another_teams_replica_does_not_exist(move: AppMigration) -> None:
    stranger = person("sam", "Viewer", "team-b")
    assert page(stranger, "migrations_app_sourcereplica_change", move.source_replica.pk).status_code == 302

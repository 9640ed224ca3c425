"""Alarms in the admin: on the first page, as a list, and on the replicas they are about."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.urls import reverse

from migrations_app.engine.alarms import Trouble, raise_
from migrations_app.engine.reconciler import HEARTBEAT
from migrations_app.models import Alarm, AppMigration, AuditEvent, Heartbeat, SourceReplica
from migrations_app.models.alarm import AlarmCode
from tests.admin.pages import page
from tests.people import person

pytestmark = pytest.mark.django_db

EVIL = "<script>alert(1)</script>"


@pytest.fixture
def alarm(move: AppMigration) -> Alarm:
    """About the replica of a move of team-a."""
    Heartbeat.objects.create(name=HEARTBEAT)
    raise_(Trouble(AlarmCode.SLOT_LOST, "replica 1", f"The slot is lost. {EVIL}", "Tear it down.", migration=move))
    return Alarm.objects.get()


def test_the_first_page_shows_what_is_wrong_to_those_who_see_it(alarm: Alarm, operator: User) -> None:
    raise_(Trouble(AlarmCode.REDIS_AWAY, "redis", "Redis does not answer.", "Start it."))
    every = page(operator, "index").content.decode()
    assert "2 alarms" in every
    assert "Redis does not answer." in every
    assert EVIL not in every
    own = page(person("vera", "Viewer", "team-a"), "index").content.decode()
    assert "1 alarm<" in own
    assert "Redis" not in own
    for stranger in (person("sam", "Viewer", "team-b"), person("norma", "", "team-a")):
        assert 'id="alarms"' not in page(stranger, "index").content.decode()


def test_the_first_page_says_that_nobody_looks(operator: User) -> None:
    assert "The reconciler has not been heard of yet." in page(operator, "index").content.decode()


def test_silence_stands_above_the_list_which_does_not_claim_that_all_is_well(
    operator: User, move: AppMigration
) -> None:
    def listed(**params: str) -> str:
        return page(operator, "migrations_app_alarm_changelist", **params).content.decode()

    for html in (listed(), listed(standing="over")):
        assert "The reconciler has not been heard of yet." in html
        assert "is wrong now" not in html
    assert "none can be raised until the reconciler is back" in listed()
    assert "unknown</span>" in page(operator, "index").content.decode(), "how the regions are"
    Heartbeat.objects.create(name=HEARTBEAT)
    assert "Nothing that you see is wrong now." in listed()
    assert "has not been heard of" not in listed()


@pytest.mark.parametrize("of", ["sourcereplica", "region", "appmigration"])
def test_an_alarm_leads_to_what_it_is_about(operator: User, move: AppMigration, of: str) -> None:
    Heartbeat.objects.create(name=HEARTBEAT)
    region, replica = move.source_region, move.source_replica
    subject, alarm = {
        "sourcereplica": (
            replica, Trouble(AlarmCode.REPLICA_LAGS, f"replica {replica.pk}", "It lags.", "", region, move)
        ),
        "region": (region, Trouble(AlarmCode.NO_WORKER, "queue moves-us-east-1", "No worker.", "", region)),
        "appmigration": (move, Trouble(AlarmCode.NO_WORKER, "something", "It waits.", "", region, move)),
    }[of]  # fmt: skip
    raise_(alarm)
    address = reverse(f"admin:migrations_app_{of}_change", args=[subject.pk])
    assert f'<a href="{address}">{alarm.sentence}</a>' in page(operator, "index").content.decode()
    listed = page(operator, "migrations_app_alarm_changelist").content.decode()
    assert re.search(rf'<td class="field-subject"[^>]*><a href="{address}">the \w+</a></td>', listed)


def test_pages_of_rows_have_a_way_back_to_the_overview_and_a_name(alarm: Alarm, operator: User) -> None:
    event = AuditEvent.objects.filter(migration=alarm.migration).latest("id")
    for name, row in (("alarm", alarm), ("auditevent", event)):
        html = page(operator, f"migrations_app_{name}_change", row.pk).content.decode()
        assert '<a href="/admin/">Overview</a>' in html[html.index('class="breadcrumbs"') :][:200]
        assert "Region moves</a>" not in html[html.index('class="breadcrumbs"') :][:400]
        assert "On the books" not in html
    assert re.search(r"<h1>request teardown, \d{4}-\d\d-\d\d [\d:]{8} \w+</h1>", html)


def test_what_is_over_is_listed_when_asked_for(alarm: Alarm, operator: User) -> None:
    def listed(**params: str) -> bool:
        return "The slot is lost." in page(operator, "migrations_app_alarm_changelist", **params).content.decode()

    assert (listed(), listed(standing="over"), listed(standing="all"), listed(q="slot")) == (True, False, True, True)
    Alarm.objects.update(ended_at=Now())
    assert (listed(), listed(standing="over"), listed(standing="all")) == (False, True, True)
    assert "The slot is lost." in page(operator, "migrations_app_alarm_change", alarm.pk).content.decode()


def test_a_replica_shows_what_the_watch_saw(move: AppMigration, operator: User) -> None:
    SourceReplica.objects.update(
        watched_at=Now(), lag_bytes=3 * 10**6, lag_seconds=4.2, retained_bytes=5 * 10**9, wal_status="extended",
        problem=f"It is in trouble. {EVIL}",
    )  # fmt: skip
    for html in (
        page(operator, "migrations_app_sourcereplica_changelist").content.decode(),
        page(operator, "migrations_app_sourcereplica_change", move.source_replica.pk).content.decode(),
    ):
        for said in ("It is in trouble.", "3.0 MB", "4.2 s", "5.0 GB", "(extended)"):
            assert said in html
        assert EVIL not in html

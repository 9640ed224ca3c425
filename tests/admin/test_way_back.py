"""The way back as the pages tell it: open, not known, or gone; and how old that knowledge is."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.urls import reverse

from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.states import ReplicaState
from tests import on_paper
from tests.admin.pages import of_move, open_and_shut, page, verb

pytestmark = pytest.mark.django_db


@pytest.fixture
def done(shop: App) -> AppMigration:
    return on_paper.completed(shop)


def text_of(response: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", response.content.decode()))


def pages_of(user: User, move: AppMigration) -> list[str]:
    """Of the move, and of its replica."""
    replica = page(user, "migrations_app_sourcereplica_change", move.source_replica.pk)
    return [text_of(of_move(user, move)), text_of(replica)]


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        ({"wal_status": "lost", "problem_code": "slot_lost"}, "The way back to us-east-1 is gone"),
        ({"wal_status": "missing", "problem_code": "region_away"}, "The way back to us-east-1 is gone"),
        ({"problem_code": "replica_drifted"}, "The way back to us-east-1 is shut"),
    ],
)
def test_a_way_back_that_is_gone_is_not_called_open(
    done: AppMigration, operator: User, seen: dict[str, str], said: str
) -> None:
    SourceReplica.objects.update(**seen, problem="What is wrong.", watched_at=Now())
    for told in pages_of(operator, done):
        assert said in told
        assert "What is wrong." in told
        assert "is open" not in told
        assert "could go back" not in told
    assert "Reverse" in open_and_shut(of_move(operator, done))[1]
    asked = text_of(page(operator, verb("reverse"), done.pk))
    assert "the way back is gone" in asked or "would refuse the switch" in asked


@pytest.mark.parametrize(
    ("code", "said", "met"),
    [
        ("region_away", "Whether the way back to us-east-1 is open is not known", "the reverse cannot begin"),
        ("slot_lost", "The way back to us-east-1 is in danger", "ends at its first step, before writes are blocked"),
        ("replica_stopped", "The way back to us-east-1 is interrupted", "ends at its first step"),
        ("replica_lags", "The way back to us-east-1 is open, and lags", "the reverse waits for it first"),
        ("", "The way back to us-east-1 is in trouble", ""),
    ],
)
def test_each_kind_of_trouble_has_its_sentence_and_reverse_says_what_it_meets(
    done: AppMigration, operator: User, code: str, said: str, met: str
) -> None:
    SourceReplica.objects.update(problem_code=code, problem="What is wrong.", lag_bytes=1, watched_at=Now())
    of_move_page, _ = pages_of(operator, done)
    assert said in of_move_page
    assert met in of_move_page
    assert "Reverse" in open_and_shut(of_move(operator, done))[0]
    assert met in text_of(page(operator, verb("reverse"), done.pk))


def test_only_a_way_back_that_is_one_stands_in_green(done: AppMigration, operator: User) -> None:
    def box() -> list[str]:
        return re.findall(r'class="(way-back[^"]*)"', of_move(operator, done).content.decode())

    assert box() == ["way-back"]
    SourceReplica.objects.update(problem="What is wrong.")
    assert box() == ["way-back way-back-bad"]
    SourceReplica.objects.update(problem="", state=ReplicaState.TORN_DOWN)
    assert box() == []
    assert "was torn down: there is no way back." in text_of(of_move(operator, done))


def test_reverse_says_for_how_long_it_blocks_writes(done: AppMigration, operator: User) -> None:
    assert "For the switch its writes are blocked, for 10 min at most." in text_of(of_move(operator, done))


def test_a_figure_says_how_old_it_is_and_that_it_is_old(done: AppMigration, operator: User, settings: Any) -> None:
    def shown() -> list[str]:
        return [*pages_of(operator, done), text_of(page(operator, "index"))]

    assert all("how far behind is not known yet" in told and "0.0 s" not in told for told in shown())
    SourceReplica.objects.update(lag_bytes=0, lag_seconds=0.0, watched_at=Now())
    assert all(re.search(r"0 bytes \(0.0 s\) behind, read \d+ s ago", told) for told in shown())
    assert "The way back to us-east-1 is open" in shown()[0]
    SourceReplica.objects.update(watched_at=Now() - timedelta(seconds=5 * settings.MOVES_WATCH_SECONDS))
    assert all("0 bytes (0.0 s) behind, ! read 1 min" in told for told in shown())
    assert all("The way back to us-east-1 was open when it was last looked at" in told for told in shown()[:2])


def test_a_move_whose_app_has_moved_on_says_where_it_lives(done: AppMigration, operator: User) -> None:
    assert "lives in" not in text_of(of_move(operator, done))
    SourceReplica.objects.update(state=ReplicaState.REVERSED)
    App.objects.update(region=on_paper.region("ap-south-1"))
    for told in pages_of(operator, done):
        assert "It was reversed: shop was brought back to us-east-1." in told
        assert "shop lives in ap-south-1 now." in told
        assert "serves again" not in told
    address = reverse("admin:migrations_app_app_change", args=[done.app_id])
    assert f'<a href="{address}">shop</a> lives in' in of_move(operator, done).content.decode()
    App.objects.update(region=Region.objects.get(slug="us-east-1"))
    assert "lives in" not in text_of(of_move(operator, done)), "where it says that it was brought"

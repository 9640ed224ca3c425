"""The watch of retained replicas, on real regions."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import LazySettings

from migrations_app.dataplane.database.stream import Applying, Sending
from migrations_app.engine import watching
from migrations_app.engine.alarms import still_open
from migrations_app.engine.replica_troubles import judge
from migrations_app.engine.watching import Watch
from migrations_app.errors import PermanentError
from migrations_app.models import Alarm, AppMigration, Region, SourceReplica
from migrations_app.states import Status
from tests import on_paper
from tests.conftest import Shop, moved, reversed_, torn_down
from tests.waiting import wait_until


def look(move: AppMigration) -> SourceReplica:
    Watch().look_once()
    return SourceReplica.objects.get(migration=move)


def codes() -> list[str]:
    return [alarm.code for alarm in still_open().order_by("id")]


def in_order(move: AppMigration) -> bool:
    return (look(move).problem, codes()) == ("", [])


def test_the_watch_shows_figures_and_notices_a_subscription_that_is_switched_off(
    shop: Shop, us: Region, eu: Region
) -> None:
    move = moved(shop.app, "eu-west-1")
    wait_until(lambda: in_order(move))
    replica = SourceReplica.objects.get()
    assert replica.watched_at is not None
    assert (replica.wal_status, replica.lag_seconds is None, replica.lag_bytes is None) == ("reserved", False, False)
    assert replica.retained_bytes is not None
    assert replica.retained_bytes >= 0
    assert [len(sample) for sample in replica.history] == [3]

    shop.sql(us, f"ALTER SUBSCRIPTION {move.name_in_regions} DISABLE")
    assert "is disabled" in look(move).problem
    alarm = Alarm.objects.get()
    assert (alarm.code, alarm.about, alarm.migration) == ("replica_stopped", f"replica {replica.pk}", move)
    assert f"ALTER SUBSCRIPTION {move.name_in_regions} ENABLE" in alarm.hint
    look(move)
    assert codes() == ["replica_stopped"]

    shop.sql(us, f"ALTER SUBSCRIPTION {move.name_in_regions} ENABLE")
    wait_until(lambda: in_order(move))
    assert Alarm.objects.get().ended_at is not None


def test_tables_that_change_at_the_primary_are_drift_until_the_change_is_repeated(
    shop: Shop, us: Region, eu: Region
) -> None:
    """The way that docs/deployment.md describes."""
    move = moved(shop.app, "eu-west-1")
    name = move.name_in_regions
    wait_until(lambda: in_order(move))
    for statement in ("CREATE TABLE extra (id int PRIMARY KEY)", "ALTER TABLE item ADD COLUMN colour text"):
        shop.sql(eu, statement)
    assert "public.extra, public.item are not the same in us-east-1" in look(move).problem
    assert codes() == ["replica_drifted"]
    for statement in ("CREATE TABLE extra (id int PRIMARY KEY)", "ALTER TABLE item ADD COLUMN colour text"):
        shop.sql(us, statement)
    assert "public.extra is not in the publication" in look(move).problem
    shop.sql(eu, "INSERT INTO extra VALUES (1)")
    shop.sql(eu, f"ALTER PUBLICATION {name} ADD TABLE ONLY extra")
    shop.sql(us, f"ALTER SUBSCRIPTION {name} REFRESH PUBLICATION")
    assert "public.extra is not copied yet" in look(move).problem
    shop.sql(eu, f"GRANT pg_read_all_data TO {name}")
    wait_until(lambda: in_order(move))
    assert shop.sql(us, "SELECT id FROM extra") == [(1,)]
    assert reversed_(move).status == Status.COMPLETED


def test_without_its_slot_the_way_back_is_gone(shop: Shop, eu: Region, us: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    shop.sql(us, f"ALTER SUBSCRIPTION {move.name_in_regions} DISABLE")
    drop = "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = %s AND NOT active"
    wait_until(lambda: shop.sql(eu, drop, move.name_in_regions))
    replica = look(move)
    assert replica.problem == (
        f"The slot of {shop.app}'s replica is missing in eu-west-1: the way back to us-east-1 is gone."
    )
    assert (replica.wal_status, replica.lag_bytes, sorted(codes())) == (
        "missing",
        None,
        ["replica_stopped", "slot_lost"],
    )
    torn_down(move)
    Watch().look_once()
    assert codes() == []


def test_a_replica_that_is_held_up_lags_and_one_that_cannot_apply_has_stopped(
    shop: Shop, us: Region, eu: Region, settings: LazySettings
) -> None:
    settings.MOVES_REPLICA_LAG_SECONDS = 0.3
    move = moved(shop.app, "eu-west-1")
    wait_until(lambda: in_order(move))
    with shop.cluster(us).connect() as blocker:
        blocker.execute("BEGIN; SELECT 1 FROM public.item WHERE id = 7 FOR UPDATE")
        shop.sql(eu, "UPDATE item SET name = 'late' WHERE id = 7")
        wait_until(lambda: look(move).problem and codes() == ["replica_lags"])
        assert SourceReplica.objects.get().lag_bytes
        blocker.execute("COMMIT")
    wait_until(lambda: in_order(move))

    shop.sql(us, "INSERT INTO item (id, name) OVERRIDING SYSTEM VALUE VALUES (100000, 'in the way')")
    shop.sql(eu, "INSERT INTO item (id, name) OVERRIDING SYSTEM VALUE VALUES (100000, 'cannot be applied')")
    wait_until(lambda: "gets no changes" in look(move).problem and "replica_stopped" in codes())


def has_said(watch: Watch, said: str) -> bool:
    watch.look()
    return still_open().filter(sentence__contains=said).exists()


def test_a_region_that_is_away_is_an_alarm_and_the_others_are_watched(
    make_shop: Callable[..., Shop], eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, well = (moved(make_shop().app, dest) for dest in ("eu-west-1", "ap-south-1"))
    wait_until(lambda: in_order(away))
    seen = dict(SourceReplica.objects.values_list("migration", "watched_at"))
    database = eu.database

    def away_at(port: int, said: str) -> None:
        Region.objects.filter(pk=eu.pk).update(database=f"host=127.0.0.1 port={port} dbname=postgres")
        watch = Watch()
        watch.look()
        wait_until(lambda: has_said(watch, said))
        assert codes() == ["region_away"]

    away_at(1, "refused")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(watching, "HANGS_AFTER_SECONDS", 0.5)
        away_at(silent.getsockname()[1], "has not answered")
    monkeypatch.undo()
    unchanged = {
        move_id for move_id, at in SourceReplica.objects.values_list("migration", "watched_at") if at == seen[move_id]
    }
    assert unchanged == {away.pk} != {well.pk}
    replica = SourceReplica.objects.get(migration=away)
    assert replica.problem == "How it is now is not known: eu-west-1 is away.", "why, the region's alarm says"
    assert replica.problem_code == "region_away"
    Region.objects.filter(pk=eu.pk).update(database=database)
    wait_until(lambda: in_order(away))


def test_a_replica_whose_app_is_on_the_move_is_left_to_the_move(shop: Shop, us: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    look(move)
    back = on_paper.move(
        AppMigration.objects.get(pk=move.pk).app, "us-east-1", status=Status.RUNNING, kind="reverse",
        strategy="reverse", reverses=move,
    )  # fmt: skip
    shop.sql(us, f"ALTER SUBSCRIPTION {move.name_in_regions} DISABLE")
    assert in_order(move)
    AppMigration.objects.filter(pk=back.pk).update(status=Status.FAILED)
    assert not in_order(move)


# -- the history ------------------------------------------------------------------------------------------------------


def seen(move: AppMigration, sending: Any) -> SourceReplica:
    """What the watch puts on the books of that."""
    replica = SourceReplica.objects.get(migration=move)
    watching._record(watching.Sight(replica.pk, sending, APPLIES))
    return SourceReplica.objects.get(migration=move)


def let_minutes_pass(replica: SourceReplica, minutes: float) -> None:
    for sample in replica.history:
        sample[0] = (datetime.fromisoformat(sample[0]) - timedelta(minutes=minutes)).isoformat()
    replica.save(update_fields=["history"])


@pytest.mark.django_db
def test_how_far_it_is_behind_is_kept_every_five_minutes() -> None:
    move = on_paper.completed(on_paper.app("shop"))
    first = seen(move, replace(WELL, lag_bytes=7, lag_seconds=0.12345))
    assert first.history == [[first.watched_at.isoformat() if first.watched_at else "", 7, 0.123]]
    let_minutes_pass(first, 4.9)
    again = seen(move, replace(WELL, lag_bytes=8))
    assert (len(again.history), again.lag_bytes) == (1, 8), "the newest figures are there all the same"
    let_minutes_pass(again, 0.2)
    assert [lag for _, lag, _ in seen(move, replace(WELL, lag_bytes=9)).history] == [7, 9]


@pytest.mark.django_db
def test_without_its_slot_the_history_has_a_gap_and_while_nobody_can_look_nothing() -> None:
    move = on_paper.completed(on_paper.app("shop"))
    let_minutes_pass(seen(move, WELL), 6)
    gone = seen(move, replace(WELL, wal_status="lost"))
    assert [sample[1:] for sample in gone.history] == [[0, 0], [None, None]]
    let_minutes_pass(gone, 6)
    assert len(seen(move, PermanentError("no", code="database_login")).history) == 2


@pytest.mark.django_db
def test_the_history_is_that_of_a_day() -> None:
    move = on_paper.completed(on_paper.app("shop"))
    replica = seen(move, WELL)
    replica.history = [[replica.history[0][0], n, 0] for n in range(288)]
    let_minutes_pass(replica, 6)
    history = seen(move, replace(WELL, lag_bytes=12)).history
    assert (len(history), history[0][1], history[-1][1]) == (288, 1, 12)


# -- judged on paper --------------------------------------------------------------------------------------------------

WELL = Sending("0/1", "reserved", True, 10**6, 0, 0.0, True, None, [], {"public.item": "a"})
APPLIES = Applying(True, True, True, 0, [], {"public.item": "a"})


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("sending", "applying", "found"),
    [
        (WELL, APPLIES, []),
        (replace(WELL, wal_status="unreserved"), APPLIES, ["slot_lost"]),
        (replace(WELL, wal_status="lost"), APPLIES, ["slot_lost"]),
        (replace(WELL, retained_bytes=11 * 10**9), APPLIES, ["wal_piles_up"]),
        (replace(WELL, retained_bytes=11 * 10**9, room=10**11), APPLIES, []),
        (replace(WELL, retained_bytes=9 * 10**6, room=10**6), APPLIES, ["wal_piles_up"]),
        (replace(WELL, lag_bytes=2 * 10**9), APPLIES, ["replica_lags"]),
        (WELL, replace(APPLIES, there=False), ["replica_stopped"]),
        (WELL, replace(APPLIES, running=False), ["replica_stopped"]),
        (WELL, replace(APPLIES, errors=8), ["replica_stopped"]),
        (WELL, replace(APPLIES, errors=7), []),
        (WELL, replace(APPLIES, tables={}), ["replica_drifted"]),
        (replace(WELL, unpublished=["public.item"]), APPLIES, ["replica_drifted"]),
        (WELL, replace(APPLIES, uncopied=["public.item"]), ["replica_drifted"]),
        (WELL, PermanentError("no such database", code="database_3D000"), ["replica_stopped"]),
        (PermanentError("no", code="database_login"), replace(APPLIES, running=False), ["replica_stopped"]),
    ],
)
def test_what_both_ends_say_is_judged(sending: Any, applying: Any, found: list[str]) -> None:
    replica = SourceReplica.objects.get(migration=on_paper.completed(on_paper.app("shop")))
    regions, troubles, judged = judge(replica, sending, applying, errors_before=7)
    assert [trouble.code for trouble in troubles] == found
    assert set(found) <= judged
    assert all(trouble.sentence and trouble.hint for trouble in troubles)
    said = [region.slug for region, trouble in regions.items() if trouble]
    assert said == (["eu-west-1"] if getattr(sending, "code", "") == "database_login" else [])

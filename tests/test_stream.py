"""The stream back to the old region: what it proves, what it leaves, and what happens when it lags."""

from __future__ import annotations

import threading

import pytest
from django.conf import LazySettings

from migrations_app.dataplane.database import fence, proof
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.process import no_check
from migrations_app.errors import TransientError
from migrations_app.models import Region
from migrations_app.move import Move
from migrations_app.states import Status, Step
from migrations_app.steps import flipping_routing
from tests.conftest import Shop, before, fail_for_good, moved, reversed_, traces
from tests.waiting import wait_until


def test_the_stream_copies_no_row_twice(shop: Shop, us: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    wait = "SELECT count(*) FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = srsubid WHERE subname = %s"
    with shop.cluster(us).connect() as replica:
        states = replica.execute(f"{wait} AND srsubstate <> 'r'", [move.name_in_regions]).fetchone()
        errors = replica.execute(
            "SELECT apply_error_count, sync_error_count FROM pg_stat_subscription_stats WHERE subname = %s",
            [move.name_in_regions],
        ).fetchone()
    assert (states, errors) == ((0,), (0, 0))
    assert shop.sql(us, "SELECT count(*) FROM item") == [(500,)]


def test_nothing_of_the_proof_stays(shop: Shop, us: Region, eu: Region) -> None:
    moved(shop.app, "eu-west-1")
    for region in (us, eu):
        assert shop.sql(region, "SELECT 1 FROM pg_namespace WHERE nspname = %s", proof.SENTINEL_SCHEMA) == []


def test_a_drain_is_not_done_before_the_row_has_arrived(shop: Shop, us: Region, eu: Region) -> None:
    move = moved(shop.app, "eu-west-1")
    proof.lay_sentinel(shop.cluster(eu), shop.cluster(us), move.name_in_regions)
    with shop.cluster(us).connect() as blocker:
        blocker.execute("BEGIN; LOCK TABLE public.item IN ACCESS EXCLUSIVE MODE")
        shop.sql(eu, "INSERT INTO item (name) VALUES ('late')")
        with pytest.raises(TransientError, match="did not reach"):
            proof.drain(
                shop.cluster(eu),
                shop.cluster(us),
                move.name_in_regions,
                proof.position(shop.cluster(eu)),
                deadline_seconds=0.7,
                check=no_check,
            )


def test_a_reverse_waits_for_a_replica_that_lags(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = moved(shop.app, "eu-west-1")
    with shop.cluster(us).connect() as blocker:

        def lag(move: Move) -> None:
            blocker.execute("BEGIN; SELECT 1 FROM public.item WHERE id = 7 FOR UPDATE")
            shop.sql(eu, "UPDATE item SET name = 'late' WHERE id = 7")
            threading.Timer(1.5, blocker.execute, ["COMMIT"]).start()

        before(monkeypatch, flipping_routing, lag)
        back = reversed_(move)
    assert (back.status, back.last_error) == (Status.COMPLETED, "")
    assert shop.sql(us, "SELECT name FROM item WHERE id = 7") == [("late",)]


def test_a_reverse_that_finds_the_replica_behind_blocks_nothing_and_leaves_it_streaming(
    shop: Shop, us: Region, eu: Region, settings: LazySettings
) -> None:
    settings.MOVES_DRAIN_SECONDS, settings.MOVES_STEP_TRIES = 0.5, 1
    move = moved(shop.app, "eu-west-1")
    with shop.cluster(us).connect() as blocker:
        blocker.execute("BEGIN; SELECT 1 FROM public.item WHERE id = 7 FOR UPDATE")
        shop.sql(eu, "UPDATE item SET name = 'late' WHERE id = 7")
        back = reversed_(move)
        assert (back.status, back.last_error_code, back.writes_blocked_at) == (Status.FAILED, "stream_stuck", None)
        blocker.execute("COMMIT")
    shop.sql(eu, "INSERT INTO item (name) VALUES ('later')")
    wait_until(lambda: shop.sql(us, "SELECT count(*) FROM item WHERE name IN ('late', 'later')") == [(2,)])
    settings.MOVES_DRAIN_SECONDS = 30
    assert reversed_(move).status == Status.COMPLETED


def test_writes_come_back_even_if_the_replicas_region_is_gone(
    shop: Shop, us: Region, eu: Region, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(at: Cluster, **_: object) -> int:
        raise TransientError(f"{at.region} is gone.", code="database_away")

    settings.MOVES_STEP_TRIES = 1
    move = moved(shop.app, "eu-west-1")
    monkeypatch.setattr(flipping_routing, "_bring_up_to_date", fail_for_good)
    monkeypatch.setattr(fence, "shut", gone)
    back = reversed_(move)
    assert back.status == Status.HELD
    assert back.last_error.startswith("Undoing blocking_writes: us-east-1 is gone.")
    with shop.connect(eu) as app:
        app.execute("INSERT INTO item (name) VALUES ('served where it was')")


def test_a_way_back_that_cannot_be_set_up_is_found_before_anything_is_blocked(
    shop: Shop, us: Region, eu: Region, settings: LazySettings
) -> None:
    settings.MOVES_STEP_TRIES = 1
    Region.objects.filter(pk=eu.pk).update(conn_from_regions="host=127.0.0.1 port=1 dbname=postgres")
    move = moved(shop.app, "eu-west-1")
    assert (move.status, move.current_step, move.writes_blocked_at) == (Status.FAILED, Step.RESERVING_DEST, None)
    assert traces(shop, eu) == []

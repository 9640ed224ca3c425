"""Nobody writes behind the fence unseen, and everybody may again once it is lifted."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from django.conf import LazySettings

from migrations_app.dataplane.database import fence, tripwire
from migrations_app.dataplane.process import no_check
from migrations_app.models import Region
from migrations_app.move import Move
from migrations_app.states import Status
from migrations_app.steps import comparing, flipping_routing, restoring_data, unblocking_writes
from tests.conftest import Shop, before, moved
from tests.waiting import wait_until


def test_lifting_the_fence_ends_nobody_who_came_after(shop: Shop, us: Region) -> None:
    stop = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not stop.is_set():
            with shop.connect(us) as app:
                app.execute("INSERT INTO item (name) VALUES ('busy')")
                written.append(1)

    at = shop.cluster(us)
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write) for _ in range(4)]
        wait_until(lambda: len(written) > 20)
        fence.end_read_only_sessions(at, grace_seconds=1, check=no_check)
        before_end = len(written)
        wait_until(lambda: len(written) > before_end + 20)
        stop.set()
    ended = [writer.exception() for writer in writers]
    assert sum(error is not None for error in ended) <= 1  # the one that was there before, at most


def test_nobody_can_write_while_the_data_is_copied(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    old_session = shop.connect(us)
    seen: list[str] = []

    def look(move: Move) -> None:
        with pytest.raises(psycopg.OperationalError):  # it was ended
            old_session.execute("INSERT INTO item (name) VALUES ('through an old session')")
        for region in (us, eu):
            with shop.connect(region) as app, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                app.execute("INSERT INTO item (name) VALUES ('through a new session')")
            seen.append(region.slug)

    before(monkeypatch, flipping_routing, look)
    assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
    assert seen == ["us-east-1", "eu-west-1"]


def test_an_open_transaction_is_waited_for_and_its_write_is_moved(shop: Shop, us: Region, eu: Region) -> None:
    with shop.connect(us) as app:
        app.execute("BEGIN; INSERT INTO item (name) VALUES ('in time')")
        commit = threading.Timer(1, app.execute, ["COMMIT"])
        commit.start()
        assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
        commit.join()
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'in time'") == [(1,)]


def test_a_transaction_that_does_not_end_is_ended(shop: Shop, us: Region, eu: Region, settings: LazySettings) -> None:
    settings.MOVES_WRITER_GRACE_SECONDS = 0.5
    with shop.connect(us) as app:
        app.execute("BEGIN; INSERT INTO item (name) VALUES ('too late')")
        assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
        with pytest.raises(psycopg.OperationalError):
            app.execute("COMMIT")
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'too late'") == [(0,)]


def test_a_write_by_force_behind_the_fence_fails_the_move_and_is_not_lost(
    shop: Shop, us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    def force(move: Move) -> None:
        with shop.connect(us) as app:
            app.execute("SET default_transaction_read_only = off")
            app.execute("INSERT INTO item (name) VALUES ('by force')")

    before(monkeypatch, restoring_data, force)
    move = moved(shop.app, "eu-west-1")
    assert (move.status, move.app.region) == (Status.FAILED, us)
    assert shop.sql(us, "SELECT count(*) FROM item WHERE name = 'by force'") == [(1,)]


def test_a_write_by_force_after_the_comparison_trips_the_wire(
    shop: Shop, us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = comparing.compare_at_rest

    def verify_then_write(move: Move) -> None:
        verify(move)
        with shop.connect(us) as app:
            app.execute("SET default_transaction_read_only = off")
            app.execute("INSERT INTO item (name) VALUES ('by force')")

    monkeypatch.setattr(comparing, "compare_at_rest", verify_then_write)
    move = moved(shop.app, "eu-west-1")
    assert (move.status, move.last_error_code, move.app.region) == (Status.FAILED, "written_behind_fence", us)
    assert "INSERT" in move.last_error
    assert "secret" not in move.last_error


def test_sessions_from_under_the_fence_do_not_stay_read_only(
    shop: Shop, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions: list[psycopg.Connection] = []
    before(monkeypatch, unblocking_writes, lambda move: sessions.append(shop.connect(eu)))
    assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
    with pytest.raises(psycopg.OperationalError):  # ended, so that the app's pool opens one that may write
        sessions[0].execute("SELECT 1")


def test_a_flag_of_the_apps_own_survives_the_fence(shop: Shop, us: Region, eu: Region) -> None:
    name = shop.app.database
    with shop.cluster(us).admin() as admin:
        admin.execute(f"ALTER ROLE {name} IN DATABASE {name} SET default_transaction_read_only = off")
    assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
    with shop.cluster(eu).admin() as admin:
        query = (
            "SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase WHERE datname = %s"
        )
        assert admin.execute(query, [name]).fetchall() == [(["default_transaction_read_only=off"],)]


# -- reverse replication ----------------------------------------------------------------------------------------------


def test_the_tripwire_sees_rows_and_nothing_else(shop: Shop, us: Region) -> None:
    at = shop.cluster(us)
    tripwire.create(at, "portal_test_wire", patience_seconds=30)
    try:
        shop.sql(us, "ANALYZE item")
        assert tripwire.changes(at, "portal_test_wire") == []
        shop.sql(us, "DELETE FROM item WHERE id = 1")
        assert tripwire.changes(at, "portal_test_wire") == ["table public.item: DELETE"]
    finally:
        tripwire.drop_slot(at, "portal_test_wire", check=no_check)


def test_a_sequence_moved_on_behind_the_fence_is_copied_again(
    shop: Shop, eu: Region, us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = comparing.compare_at_rest

    def verify_then_draw(move: Move) -> None:
        verify(move)
        shop.sql(us, "SELECT nextval('ticket')")

    monkeypatch.setattr(comparing, "compare_at_rest", verify_then_draw)
    assert moved(shop.app, "eu-west-1").status == Status.COMPLETED
    assert shop.sql(eu, "SELECT last_value FROM ticket") == [(2,)]


# -- the fence --------------------------------------------------------------------------------------------------------

"""A move that is held past its pivot, and what Reverse does then."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from migrations_app import actions, audit
from migrations_app.dataplane.database import proof, replication
from migrations_app.dataplane.process import no_check
from migrations_app.engine.journal import Journal
from migrations_app.errors import PermanentError, Refused
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.move import Move
from migrations_app.states import ReplicaState, Status, Step
from migrations_app.steps import STEPS, flipping_routing, setting_up_reverse_replication
from tests.conftest import Shop, carry, moved, reversed_, torn_down, traces
from tests.test_guestbook_move import audited, cluster_state, nothing_in, state_of, under_traffic
from tests.waiting import wait_until

Regions = dict[str, Region]


def fail(*_: object, **__: object) -> None:
    raise PermanentError("broken on purpose")


pass_pivot = Journal.pass_pivot


def pass_pivot_and_fail(move: Journal) -> None:
    pass_pivot(move)
    fail()


def go_back(move: AppMigration) -> AppMigration:
    return actions.reverse(move_id=move.pk, acting_user=None, reason="back")


def held_in(
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    act: Callable[[], AppMigration],
    fails: Callable[..., object] = fail,
) -> AppMigration:
    with monkeypatch.context() as patched:
        patched.setattr(place, name, fails)
        held = act()
    assert (held.status, held.last_error) == (Status.HELD, "broken on purpose")
    assert held.pivot_at
    return held


@pytest.mark.parametrize(
    ("place", "name", "fails"),
    [
        pytest.param(Journal, "pass_pivot", pass_pivot_and_fail, marks=pytest.mark.slow),
        pytest.param(STEPS[Step.SETTING_UP_REVERSE_REPLICATION], "do", fail, marks=pytest.mark.slow),
        (setting_up_reverse_replication, "_prove", fail),
    ],
    ids=["right_behind_the_pivot", "before_the_way_back", "the_way_back_half_made"],
)
def test_before_the_destination_takes_writes_everything_is_undone(
    app: App,
    regions: Regions,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    fails: Callable[..., object],
) -> None:
    us, eu = regions["us-east-1"], regions["eu-west-1"]
    before = state_of(us, app), cluster_state(eu)
    held = held_in(monkeypatch, place, name, lambda: moved(app, "eu-west-1"), fails)
    assert held.app.region == eu
    assert go_back(held).status == Status.ABORTING
    gone = carry(held)
    assert (gone.status, gone.last_error, gone.app.region, gone.pivot_at) == (Status.ABORTED, "", us, None)
    assert (state_of(us, app), cluster_state(eu)) == before
    assert nothing_in(eu, app)
    _, ledger = under_traffic(app, lambda: None)
    assert audited(app, ledger).ok
    assert not audit.verify(gone).problems
    again = moved(app, "eu-west-1")
    assert (again.status, again.last_error) == (Status.COMPLETED, "")


def test_a_reverse_that_is_held_leaves_the_replica_streaming(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = moved(shop.app, "eu-west-1")
    shop.sql(eu, "INSERT INTO item (name) VALUES ('later')")
    held = held_in(monkeypatch, setting_up_reverse_replication, "_prove", lambda: reversed_(move))
    go_back(held)
    gone = carry(held)
    assert (gone.status, gone.last_error, gone.app.region) == (Status.ABORTED, "", eu)
    with shop.connect(eu) as connection:
        connection.execute("INSERT INTO item (name) VALUES ('back')")
    wait_until(lambda: shop.sql(us, "SELECT count(*) FROM item") == [(502,)])
    with pytest.raises(psycopg.OperationalError, match="CONNECT"):
        shop.connect(us)
    again = reversed_(move)
    assert (again.status, again.last_error, again.app.region) == (Status.COMPLETED, "", us)


@pytest.mark.parametrize(
    ("place", "name", "fails"),
    [(Journal, "pass_pivot", pass_pivot_and_fail), (STEPS[Step.SETTING_UP_REVERSE_REPLICATION], "do", fail)],
    ids=["held_at_the_pivot", "held_behind_it"],
)
def test_what_was_written_over_the_fence_is_not_lost(
    shop: Shop,
    us: Region,
    eu: Region,
    monkeypatch: pytest.MonkeyPatch,
    place: object,
    name: str,
    fails: Callable[..., object],
) -> None:
    held = held_in(monkeypatch, place, name, lambda: moved(shop.app, "eu-west-1"), fails)
    with shop.connect(eu) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute("INSERT INTO item (name) VALUES ('by force')")
    go_back(held)
    stuck = carry(held)
    assert (stuck.status, stuck.last_error_code) == (Status.HELD, "written_behind_fence")
    assert "1 rows in eu-west-1" in stuck.last_error
    with pytest.raises(psycopg.OperationalError, match="CONNECT"):
        shop.connect(eu)
    with shop.connect(us) as connection, pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        connection.execute("INSERT INTO item (name) VALUES ('back')")
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'by force'") == [(1,)]


def test_before_the_pivot_too_what_was_written_over_the_fence_is_not_lost(
    shop: Shop, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_by_force_and_fail(move: Move) -> None:
        with shop.connect(eu) as connection:
            connection.execute("SET default_transaction_read_only = off")
            connection.execute("INSERT INTO item (name) VALUES ('by force')")
        fail()

    monkeypatch.setattr(flipping_routing, "_check_fence_held", write_by_force_and_fail)
    stuck = moved(shop.app, "eu-west-1")
    assert (stuck.status, stuck.last_error_code) == (Status.HELD, "written_behind_fence")
    assert shop.sql(eu, "SELECT count(*) FROM item WHERE name = 'by force'") == [(1,)]


def test_a_stream_that_is_read_is_asked_all_the_same(shop: Shop, us: Region, eu: Region) -> None:
    """As when the source is cut off, and nobody has told the destination that it reads no more."""
    move = moved(shop.app, "eu-west-1")
    at = shop.cluster(eu)
    wait_until(lambda: proof.is_streaming(at, move.name_in_regions))
    assert replication.pending_changes(at, move.name_in_regions, check=no_check) == 0


def test_a_destination_that_is_gone_keeps_no_writes_from_coming_back(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = held_in(monkeypatch, STEPS[Step.SETTING_UP_REVERSE_REPLICATION], "do", lambda: moved(shop.app, "eu-west-1"))
    address = eu.database
    Region.objects.filter(pk=eu.pk).update(database="host=127.0.0.1 port=1 user=portal dbname=postgres")
    monkeypatch.setattr("django.conf.settings.MOVES_BACKOFF_MAX_SECONDS", 0.01)
    go_back(held)
    stuck = carry(held)
    assert (stuck.status, stuck.current_step) == (Status.HELD, Step.SETTING_UP_REVERSE_REPLICATION)
    with shop.connect(us) as connection:
        connection.execute("INSERT INTO item (name) VALUES ('back')")
    Region.objects.filter(pk=eu.pk).update(database=address)
    actions.retry(move_id=held.pk, acting_user=None, reason="it is there again")
    assert carry(held).status == Status.ABORTED
    assert traces(shop, eu) == traces(shop, us) == []


@pytest.mark.parametrize("step", [Step.UNBLOCKING_WRITES, Step.COMPLETED])
def test_once_writes_may_be_open_a_reverse_takes_over(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch, step: Step
) -> None:
    held = held_in(monkeypatch, STEPS[step], "do", lambda: moved(shop.app, "eu-west-1"))
    shop.sql(eu, "INSERT INTO item (name) VALUES ('later')")
    back = go_back(held)
    held.refresh_from_db()
    assert (held.status, back.reverses, back.status) == (Status.FAILED, held, Status.RUNNING)
    back = carry(back)
    assert (back.status, back.last_error, back.app.region) == (Status.COMPLETED, "", us)
    with shop.connect(us) as connection:
        assert connection.execute("SELECT count(*) FROM item").fetchone() == (501,)
        connection.execute("INSERT INTO item (name) VALUES ('home')")
    assert SourceReplica.objects.get(migration=held).state == ReplicaState.REVERSED
    assert torn_down(back).state == ReplicaState.TORN_DOWN
    assert traces(shop, eu) == traces(shop, us) == []
    assert not audit.verify().problems


def test_a_reverse_that_could_not_begin_takes_over_nothing(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = held_in(monkeypatch, STEPS[Step.UNBLOCKING_WRITES], "do", lambda: moved(shop.app, "eu-west-1"))
    address = us.database
    Region.objects.filter(pk=us.pk).update(database="host=127.0.0.1 port=1 user=portal dbname=postgres")
    with pytest.raises(Refused, match="us-east-1"):
        go_back(held)
    held.refresh_from_db()
    assert held.status == Status.HELD
    Region.objects.filter(pk=us.pk).update(database=address)
    actions.retry(move_id=held.pk, acting_user=None, reason="it goes on")
    assert carry(held).status == Status.COMPLETED


def test_a_held_reverse_is_taken_over_too(shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch) -> None:
    move = moved(shop.app, "eu-west-1")
    held = held_in(monkeypatch, STEPS[Step.UNBLOCKING_WRITES], "do", lambda: reversed_(move))
    back = carry(go_back(held))
    assert (back.status, back.last_error, back.app.region) == (Status.COMPLETED, "", eu)
    states = {replica.migration: replica.state for replica in SourceReplica.objects.all()}
    assert states == {
        move: ReplicaState.REVERSED,
        held: ReplicaState.REVERSED,
        back: ReplicaState.RETAINED,
    }
    shop.sql(eu, "INSERT INTO item (name) VALUES ('on')")
    wait_until(lambda: shop.sql(us, "SELECT count(*) FROM item") == [(501,)])


def test_a_reverse_that_took_over_and_failed_can_be_asked_for_again(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = held_in(monkeypatch, STEPS[Step.UNBLOCKING_WRITES], "do", lambda: moved(shop.app, "eu-west-1"))
    with monkeypatch.context() as patched:
        patched.setattr(flipping_routing, "_check_fence_held", fail)
        back = carry(go_back(held))
    assert (back.status, back.app.region) == (Status.FAILED, eu)
    with shop.connect(eu) as connection:
        connection.execute("INSERT INTO item (name) VALUES ('still in eu')")
    again = reversed_(held)
    assert (again.status, again.last_error, again.app.region) == (Status.COMPLETED, "", us)
    assert shop.sql(us, "SELECT count(*) FROM item") == [(501,)]


@pytest.mark.parametrize(
    "end", ["aborted before it begins", pytest.param("failed at its start", marks=pytest.mark.slow)]
)
def test_a_reverse_that_took_over_and_ends_at_once_opens_the_writes_that_it_found_blocked(
    app: App, regions: Regions, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    us, eu = regions["us-east-1"], regions["eu-west-1"]
    held = held_in(monkeypatch, STEPS[Step.UNBLOCKING_WRITES], "do", lambda: moved(app, "eu-west-1"))
    back = go_back(held)
    assert back.writes_blocked_at
    with monkeypatch.context() as patched:
        if end == "failed at its start":
            patched.setattr(STEPS[Step.RESERVING_DEST], "do", fail)
        else:
            assert actions.abort(move_id=back.pk, acting_user=None, reason="not now").status == Status.ABORTING
        back = carry(back)
    assert (back.status, back.app.region) == (Status.FAILED if end.startswith("failed") else Status.ABORTED, eu)
    assert back.writes_unblocked_at
    _, ledger = under_traffic(app, lambda: None)
    assert audited(app, ledger).ok
    again = reversed_(held)
    assert (again.status, again.last_error, again.app.region) == (Status.COMPLETED, "", us)
    assert audited(app, ledger).ok


def test_the_stream_of_the_proof_is_not_taken_for_a_write(
    shop: Shop, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never_arrives(move: Move) -> float:
        proof.prove_stream(
            move.dest_db, move.dest_db, deadline_seconds=60, check=move.check
        )  # a row of the sentinel stays on the slot
        raise PermanentError("broken on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(setting_up_reverse_replication, "_prove", never_arrives)
        patched.setattr("migrations_app.dataplane.database.replication.subscribe", lambda *_: None)
        held = moved(shop.app, "eu-west-1")
    assert held.status == Status.HELD
    go_back(held)
    assert carry(held).status == Status.ABORTED

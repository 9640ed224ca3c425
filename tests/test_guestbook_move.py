"""The whole guest book moves: database, pictures, process and traffic."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import pytest
from django.conf import settings
from psycopg.conninfo import make_conninfo

from migrations_app import actions
from migrations_app.dataplane import blobs, edge, plain_http, runtime
from migrations_app.dataplane.database import fence
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.edge_route import Route
from migrations_app.dataplane.process import Check, no_check
from migrations_app.engine.lease import now
from migrations_app.engine.plan import PIVOT, SNAPSHOT
from migrations_app.errors import PermanentError
from migrations_app.models import App, Region
from migrations_app.move import Move, bucket, cluster, health_url, host
from migrations_app.states import ReplicaState, Status, Step
from migrations_app.steps import STEPS, flipping_routing
from portal.sandbox.traffic import Audit, Ledger, Traffic, audit
from tests.conftest import carry, moved, reversed_, torn_down
from tests.waiting import wait_until

Regions = dict[str, Region]
T = TypeVar("T")


def under_traffic(app: App, act: Callable[[], T]) -> tuple[T, Ledger]:
    traffic = Traffic(settings.EDGE_PUBLIC_URLS[0], app.hostname, readers=2, writers=2)
    with traffic:
        wait_for_writes(traffic, 5)
        move = act()
        wait_for_writes(traffic, traffic.snapshot().acknowledged + 5)
    return move, traffic.stop()


def wait_for_writes(traffic: Traffic, count: int) -> None:
    wait_until(lambda: traffic.snapshot().acknowledged >= count, 30)


def audited(app: App, ledger: Ledger) -> Audit:
    app.refresh_from_db()
    region = app.region
    return audit(make_conninfo(region.database, dbname=app.database), ledger, pictures=bucket(region, app))


def test_a_blob_that_comes_behind_the_fence_moves_too(
    app: App, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a request that was let in before it: no fence of a database holds it up."""
    late = [blobs.join(bucket(regions[slug], app), "late.txt") for slug in ("us-east-1", "eu-west-1")]
    shut = fence.shut

    def upload_and_shut(at: Cluster, *, check: Check) -> int:
        if not blobs.is_file(late[0]):
            blobs.write_text(late[0], "late")
        return shut(at, check=check)

    monkeypatch.setattr(fence, "shut", upload_and_shut)
    assert moved(app, "eu-west-1").status == Status.COMPLETED
    assert blobs.read_text(late[1]) == "late"


def test_a_read_that_reaches_its_database_late_is_answered_and_keeps_nobody_waiting(
    app: App, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came in before reads moved, and no session showed it by the time that the source was quiet."""
    us = regions["us-east-1"]
    address, port = app.upstream_in(us).split(":")
    stop = runtime.stop
    with socket.create_connection((address, int(port)), timeout=30) as read, ThreadPoolExecutor(1) as later:
        read.sendall(b"GET /entries?limit=1 HTTP/1.1\r\nHost: here\r\n")

        def go_on() -> None:
            wait_until(lambda: not runtime.is_running(host(us), app.program))
            read.sendall(b"Connection: close\r\n\r\n")

        def stop_meanwhile(at: runtime.Host, program: str, *, wait: bool = True, check: Check = no_check) -> None:
            if at == host(us):
                later.submit(go_on)
            stop(at, program, wait=wait, check=check)

        with monkeypatch.context() as patched:
            patched.setattr(runtime, "stop", stop_meanwhile)
            assert moved(app, "eu-west-1").status == Status.COMPLETED
        assert read.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"


def test_there_and_back_under_traffic_without_losing_a_write_or_a_read(app: App, regions: Regions) -> None:
    us, eu = regions["us-east-1"], regions["eu-west-1"]
    move, there = under_traffic(app, lambda: moved(app, "eu-west-1"))
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert audited(app, there).ok
    assert (there.failed_reads, there.read_failures) == (0, [])
    assert there.refused
    assert routes(app) == [Route(app.hostname, app.upstream_in(eu), fenced=False)] * len(settings.EDGE_ADMIN_URLS)
    assert runtime.is_running(host(eu), app.program)
    assert not runtime.is_running(host(us), app.program)

    back, home = under_traffic(app, lambda: reversed_(move))
    assert (back.status, back.last_error) == (Status.COMPLETED, "")
    assert app.region_id == eu.pk
    for ledger in (there, home):
        assert audited(app, ledger).ok
        assert (ledger.failed_reads, ledger.read_failures) == (0, [])
    assert app.region == us
    # What was written since stays in the serving region until a reverse brings it over.
    assert {found.kind for found in blobs.differences(bucket(us, app), bucket(eu, app))} <= {"missing"}

    gone, last = under_traffic(app, lambda: torn_down(back))
    assert gone.state == ReplicaState.TORN_DOWN
    for ledger in (there, home, last):
        assert audited(app, ledger).ok
    assert last.failed_reads == 0
    assert not last.refused
    assert nothing_in(eu, app)


@pytest.mark.parametrize(
    ("how", "step"),
    [
        *(
            pytest.param("aborted", step, marks=[] if step == Step.COPYING_RUNTIME else pytest.mark.slow)
            for step in SNAPSHOT[: SNAPSHOT.index(PIVOT) + 1]
        ),
        *(pytest.param("failed", step, marks=pytest.mark.slow) for step in (Step.RESTORING_DATA, PIVOT)),
    ],
)
def test_undone_at_any_step_before_the_pivot_nothing_is_left(
    app: App, regions: Regions, step: Step, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step has done its work, all but the commit of the pivot, when the abort or the failure comes."""
    us, eu = regions["us-east-1"], regions["eu-west-1"]
    before = state_of(us, app), cluster_state(eu)

    def break_off(move: Move) -> None:
        if how == "failed":
            raise PermanentError("broken on purpose")
        actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")
        move.lease.abort_at = now()  # type: ignore[attr-defined]  # what its keeper would find within half a second
        move.check()

    if step == PIVOT:
        monkeypatch.setattr(flipping_routing, "_check_fence_held", break_off)
    else:
        do = STEPS[step].do

        def do_then_break_off(move: Move) -> None:
            do(move)
            break_off(move)

        monkeypatch.setattr(STEPS[step], "do", do_then_break_off)
    move = moved(app, "eu-west-1")
    assert (move.status, move.current_step) == (how, step)
    assert (state_of(us, app), cluster_state(eu)) == before
    assert nothing_in(eu, app)
    assert not (settings.MOVES_WORK_DIR / str(move.pk)).exists()
    with psycopg.connect(make_conninfo(us.database, dbname=app.database), autocommit=True) as connection:
        connection.execute("INSERT INTO authors (name) VALUES ('writable')")  # without any override of the flag


def test_an_abort_of_a_reverse_leaves_the_replica_streaming(
    app: App, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    us, eu = regions["us-east-1"], regions["eu-west-1"]
    move = moved(app, "eu-west-1")

    def fail(move: Move) -> None:
        raise PermanentError("broken on purpose")

    with monkeypatch.context() as patched:
        patched.setattr(flipping_routing, "_check_fence_held", fail)
        back = reversed_(move)
    assert (back.status, back.app.region) == (Status.FAILED, eu)
    assert not runtime.is_running(host(us), app.program)
    assert routes(app) == [Route(app.hostname, app.upstream_in(eu), fenced=False)] * len(settings.EDGE_ADMIN_URLS)
    _, ledger = under_traffic(app, lambda: carry(back))
    assert audited(app, ledger).ok
    again = reversed_(move)
    assert (again.status, again.last_error, again.app.region) == (Status.COMPLETED, "", us)
    assert audited(app, ledger).ok


def routes(app: App) -> list[Route | None]:
    return [edge.read(admin_url, app.slug) for admin_url in settings.EDGE_ADMIN_URLS]


def nothing_in(region: Region, app: App, *, role_was_there: bool = False) -> bool:
    """Of the app; its role may stay where it was before the portal came."""
    with cluster(region, app.database).admin() as admin:
        roles = admin.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [app.database]).fetchall()
    return not (
        (roles and not role_was_there)
        or cluster(region, app.database).exists()
        or blobs.exists(bucket(region, app))
        or runtime.exists(host(region), app.program)
        or runtime.is_running(host(region), app.program)
        or (Path(region.runtime_path) / app.program).exists()
    )


def state_of(region: Region, app: App) -> dict[str, Any]:
    """All of the app and its cluster that a move touches."""
    database = cluster(region, app.database)
    with database.connect() as connection:
        rows = {
            table: connection.execute(f"SELECT count(*), sum(hashtext(t::text)) FROM public.{table} t").fetchone()
            for table in ("authors", "entries", "entry_pictures")
        }
        identities = connection.execute("SELECT relname, relreplident FROM pg_class WHERE relkind = 'r'").fetchall()
    return {
        "rows": rows,
        "identities": sorted(identities),
        "cluster": cluster_state(region),
        "blobs": blobs.totals(bucket(region, app)),
        "routes": routes(app),
        "running": runtime.is_running(host(region), app.program),
        "definition": blobs.read_text(f"{region.runtime_path}/{app.program}.conf"),
        "healthy": plain_http.request("GET", health_url(region, app)).status,
    }


def cluster_state(region: Region) -> dict[str, Any]:
    queries = {
        "databases": "SELECT datname, datconnlimit, coalesce(datacl, acldefault('d', datdba))::text FROM pg_database "
        "ORDER BY 1",
        "settings": "SELECT setdatabase, setrole, setconfig::text FROM pg_db_role_setting ORDER BY 1, 2",
        "roles": "SELECT rolname FROM pg_roles ORDER BY 1",
        "slots": "SELECT slot_name FROM pg_replication_slots ORDER BY 1",
        "subscriptions": "SELECT subname FROM pg_subscription ORDER BY 1",
    }
    with cluster(region, "postgres").admin() as admin:
        return {name: admin.execute(query).fetchall() for name, query in queries.items()}

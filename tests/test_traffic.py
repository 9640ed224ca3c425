"""The traffic tells the truth about the app behind it, and the audit finds what is made to go wrong."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from migrations_app.dataplane import blobs, edge
from migrations_app.dataplane.edge_route import Route
from portal.sandbox.audit import audit
from portal.sandbox.keepalive import Connection, NoAnswer
from portal.sandbox.ledger import Latencies, Ledger
from portal.sandbox.traffic import Traffic
from tests.guestbook import GuestBook, deployed
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def guestbook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuestBook]:
    with deployed(tmp_path_factory.mktemp("secrets")) as book:
        yield book


@dataclass(frozen=True)
class Edge:
    """The sandbox's edge, with a route to the guest book."""

    url: str
    hostname: str
    route: Callable[[bool], object]
    """Writes the route: fenced or not."""

    def traffic(self, *, readers: int = 2, writers: int = 2) -> Traffic:
        return Traffic(
            self.url, self.hostname, readers=readers, writers=writers, reads_per_second=60, writes_per_second=60
        )


@pytest.fixture
def through_edge(guestbook: GuestBook) -> Iterator[Edge]:
    admin_url = os.environ["EDGE_ADMIN_URLS"].split(",")[0]
    hostname, upstream = f"{guestbook.name}.test", f"{guestbook.target.host}:{guestbook.port}"

    def route(fenced: bool) -> None:
        edge.apply(admin_url, guestbook.name, Route(hostname, upstream, fenced=fenced))

    route(False)
    yield Edge(os.environ["EDGE_URL"], hostname, route)
    edge.remove(admin_url, guestbook.name)


def run_until(traffic: Traffic, reached: Callable[[], bool]) -> Ledger:
    with traffic:
        wait_until(reached)
    return traffic.ledger


def test_a_quiet_run_loses_nothing_and_fails_nothing(guestbook: GuestBook, through_edge: Edge) -> None:
    traffic = through_edge.traffic()
    ledger = run_until(traffic, lambda: traffic.snapshot().acknowledged >= 60 and traffic.snapshot().reads >= 60)
    found = audit(guestbook.database, ledger, pictures=guestbook.bucket)
    assert found.ok
    assert (found.acknowledged, found.lost, found.duplicated, found.unknown, found.refused) == (
        len(ledger.acknowledged), 0, 0, 0, 0
    )  # fmt: skip
    assert (ledger.failed_reads, ledger.read_failures) == (0, [])
    seen = ledger.snapshot()
    assert seen.read_p50 is not None
    assert seen.write_p99 is not None
    assert 0 < seen.read_p50 < 5
    assert 0 < seen.longest_gap_seconds < 5
    assert traffic.last_ack_at == ledger.acknowledged[-1].at
    assert sum(second.acknowledged for second in ledger.per_second.values()) == seen.acknowledged
    assert sum(second.reads for second in ledger.per_second.values()) == seen.reads


def test_the_audit_finds_a_lost_row_a_doubled_row_and_a_lost_picture(
    guestbook: GuestBook, through_edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("portal.sandbox.traffic._PICTURE_EVERY", 2)
    traffic = through_edge.traffic(readers=0)
    acknowledged = traffic.ledger.acknowledged

    def enough() -> bool:
        pictured = sum(bool(write.picture) for write in acknowledged)
        return pictured >= 2 and len(acknowledged) - pictured >= 3

    ledger = run_until(traffic, enough)
    plain = [write.key for write in ledger.acknowledged if not write.picture][:2]
    pictured = [write for write in ledger.acknowledged if write.picture][:2]
    guestbook.sql("DELETE FROM entries WHERE key = %s", plain[0])
    guestbook.sql("INSERT INTO entries (author_id, key, message) SELECT author_id, key, message FROM entries"
                  " WHERE key = %s", plain[1])  # fmt: skip
    blobs.delete_file(f"{guestbook.bucket}/{pictured[0].picture}")
    guestbook.sql("DELETE FROM entry_pictures WHERE name = %s", pictured[1].picture)

    found = audit(guestbook.database, ledger, pictures=guestbook.bucket)

    assert not found.ok
    assert (found.lost_keys, found.duplicated_keys) == ((plain[0],), (plain[1],))
    assert found.lost_pictures == tuple(write.picture for write in pictured)
    listed = audit(guestbook.database, ledger, pictures=lambda: [])
    assert len(listed.lost_pictures) == sum(bool(write.picture) for write in ledger.acknowledged)


def test_the_fence_is_counted_as_refused_and_reads_go_on(guestbook: GuestBook, through_edge: Edge) -> None:
    with through_edge.traffic() as traffic:
        wait_until(lambda: traffic.snapshot().acknowledged >= 5)
        through_edge.route(True)
        wait_until(lambda: traffic.snapshot().refused >= 2)
        at_fence = traffic.snapshot()
        wait_until(lambda: traffic.snapshot().reads >= at_fence.reads + 20)
        through_edge.route(False)
        wait_until(lambda: traffic.snapshot().acknowledged >= at_fence.acknowledged + 5)
    ledger = traffic.ledger
    assert ledger.failed_reads == 0
    # The edge closes idle connections when its configuration changes; a write may just then be on its way.
    assert [failure for failure in ledger.write_failures if failure.reason[0].isdigit()] == []
    assert ledger.longest_gap_seconds > 0.2
    found = audit(guestbook.database, ledger, pictures=guestbook.bucket)
    assert found.ok
    assert found.refused == len(ledger.refused) >= 2


def test_a_refused_write_that_is_there_is_found(guestbook: GuestBook) -> None:
    ledger = Ledger()
    ledger.write_refused("seed-1")
    ledger.write_refused("never")
    found = audit(guestbook.database, ledger, pictures=guestbook.bucket)
    assert found.refused_present == ("seed-1",)
    assert not found.ok


def test_an_answer_that_says_nothing_certain_is_unknown(guestbook: GuestBook, through_edge: Edge) -> None:
    guestbook.sql("ALTER SEQUENCE entry_number RESTART WITH 1001")  # as after a move that forgot the sequences
    traffic = through_edge.traffic(readers=0)
    ledger = run_until(traffic, lambda: traffic.snapshot().unknown >= 5)
    guestbook.sql("SELECT setval('entry_number', (SELECT max(number) FROM entries))")
    assert ledger.acknowledged == []
    assert "UniqueViolation" in ledger.write_failures[0].reason
    ledger.write_unknown("seed-2", "the answer was lost on its way")
    found = audit(guestbook.database, ledger, pictures=guestbook.bucket)
    assert found.ok
    assert (found.unknown, found.unknown_present) == (len(ledger.unknown), 1)


def test_an_acknowledged_entry_that_is_gone_or_changed_is_a_failed_read(through_edge: Edge) -> None:
    for entry_id, reason in ((10**9, "404"), (1, "not what was written")):
        traffic = through_edge.traffic(writers=0)
        traffic.ledger.write_acknowledged("a key", entry_id, None, 0.01)
        ledger = run_until(traffic, lambda: traffic.snapshot().failed_reads >= 1)  # noqa: B023
        assert {failure.what for failure in ledger.read_failures} == {f"GET /entries/{entry_id}"}
        assert reason in ledger.read_failures[0].reason


def test_where_nobody_listens_everything_fails_and_nothing_is_acknowledged() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        traffic = Traffic(f"http://127.0.0.1:{taken.getsockname()[1]}", "x.test", readers=1, writers=1)
        ledger = run_until(traffic, lambda: traffic.snapshot().failed_reads > 1 and traffic.snapshot().unknown > 1)
    assert (ledger.reads, ledger.acknowledged) == (0, [])
    assert "ConnectionRefusedError" in ledger.write_failures[0].reason


# The connection, against a server that misbehaves on purpose.

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
BROKEN = b"HTTP/1.1 201 Created\r\nContent-Length: 50\r\n\r\n{"


@contextmanager
def server(*connections: list[bytes]) -> Iterator[tuple[str, list[bytes]]]:
    """For each connection, in turn, its answers, one a request; then it is closed, at b"" without an answer."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answers in connections:
                accepted, _ = listener.accept()
                with accepted:
                    for answer in answers:
                        asked.append(accepted.recv(65536))
                        accepted.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        thread.join(5)
        assert not thread.is_alive()


def test_a_connection_closed_between_requests_is_opened_again() -> None:
    with server([ANSWER], [ANSWER], [ANSWER]) as (url, asked):
        connection = Connection(url, "x.test", timeout=5)
        assert connection.get("/1").body == b"ok"
        time.sleep(0.1)
        assert connection.post("/2", b"{}", "application/json").body == b"ok"
        time.sleep(0.1)
        assert connection.get("/3").body == b"ok"
    assert [request.split()[1] for request in asked] == [b"/1", b"/2", b"/3"]
    assert all(b"Host: x.test\r\n" in request for request in asked)


def test_a_read_that_meets_a_closing_connection_is_sent_again_once() -> None:
    with server([ANSWER, b""], [ANSWER]) as (url, asked):
        connection = Connection(url, "x.test", timeout=5)
        connection.get("/1")
        assert connection.get("/2").status == 200
    assert [request.split()[1] for request in asked] == [b"/1", b"/2", b"/2"]


def test_a_read_on_a_fresh_connection_is_not_sent_again() -> None:
    with server([b""]) as (url, asked), pytest.raises(NoAnswer):
        Connection(url, "x.test", timeout=5).get("/1")
    assert len(asked) == 1


def test_a_write_is_never_sent_again() -> None:
    with server([ANSWER, b""]) as (url, asked):
        connection = Connection(url, "x.test", timeout=5)
        connection.get("/1")
        with pytest.raises(NoAnswer):
            connection.post("/2", b"{}", "application/json")
    assert sum(b"POST /2" in request for request in asked) == 1


def test_a_time_out_is_no_answer_and_is_not_sent_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = Connection(f"http://127.0.0.1:{silent.getsockname()[1]}", "x.test", timeout=0.1)
        with pytest.raises(NoAnswer, match="Timeout"):
            connection.get("/")


def test_an_answer_that_breaks_off_still_has_its_status() -> None:
    with server([BROKEN]) as (url, _):
        answer = Connection(url, "x.test", timeout=5).post("/", b"{}", "application/json")
    assert (answer.status, answer.whole) == (201, False)


# The ledger.


def test_the_longest_gap_is_between_acknowledged_writes() -> None:
    now = 100.0
    ledger = Ledger(started_at=now, clock=lambda: now)
    for now in (101.0, 101.5, 104.5, 105.0):
        ledger.write_acknowledged(str(now), 1, None, 0.01)
    ledger.write_refused("later")
    now = 107.25
    seen = ledger.snapshot()
    assert (seen.longest_gap_seconds, seen.last_ack_at, seen.seconds_since_ack) == (3.0, 105.0, 2.25)
    assert {number: second.acknowledged for number, second in ledger.per_second.items()} == {1: 2, 4: 1, 5: 1}


def test_percentiles_are_within_five_per_cent() -> None:
    latencies = Latencies()
    assert latencies.percentile(50) is None
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds / 1000)
    assert latencies.percentile(50) == pytest.approx(0.5, rel=0.05)
    assert latencies.percentile(99) == pytest.approx(0.99, rel=0.05)
    assert latencies.percentile(100) == pytest.approx(1.0, rel=0.05)

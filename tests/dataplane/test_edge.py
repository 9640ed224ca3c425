"""Routes on the sandbox's Caddy, with real requests through it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from migrations_app.dataplane import edge, plain_http
from migrations_app.dataplane.edge import Route
from migrations_app.errors import PermanentError, TransientError

UNSAFE = ("POST", "PUT", "PATCH", "DELETE", "PROPFIND")
SAFE = ("GET", "HEAD", "OPTIONS")


@pytest.fixture
def hostname(slug):
    return f"{slug}.example"


@pytest.fixture(autouse=True)
def _clean_edge(admin_url, slug):
    yield
    edge.remove(admin_url, slug)


@pytest.fixture
def ask(edge_url, hostname):
    """Sends one request for the test's host name through the edge, on a connection of its own."""

    def send(method="GET", *, host=hostname, body=None):
        return plain_http.request(method, edge_url + "/x?y=1", headers={"Host": host}, body=body, timeout_seconds=15)

    return send


@pytest.fixture
def raw(admin_url):
    """The admin API itself, for what somebody other than the portal does there."""

    def send(method, path, body=None):
        return plain_http.request(
            method,
            admin_url + path,
            body=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json"},
        )

    return send


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def test_a_route_leads_to_its_upstream_and_applying_it_again_changes_nothing(
    admin_url, slug, hostname, upstream, ask, monkeypatch
):
    route = Route(hostname, upstream("us").address)
    assert edge.read(admin_url, slug) is None
    assert edge.apply(admin_url, slug, route) is True
    assert edge.read(admin_url, slug) == route
    assert ask().body == b"us"
    methods = []
    real = plain_http.request

    def noted(method, *args, **options):
        methods.append(method)
        return real(method, *args, **options)

    monkeypatch.setattr(plain_http, "request", noted)
    assert edge.apply(admin_url, slug, route) is False
    assert methods == ["GET"]


def test_the_host_name_is_matched_in_any_case(admin_url, slug, hostname, upstream, ask):
    server = upstream("us")
    edge.apply(admin_url, slug, Route(hostname.upper(), server.address))
    assert edge.read(admin_url, slug) == Route(hostname, server.address)
    assert ask(host=hostname.title()).body == b"us"
    assert edge.find_upstream(admin_url, hostname.upper()) is not None


def test_the_upstream_learns_whom_the_client_asked_for(admin_url, slug, hostname, edge_url, ask):
    with socket.create_server(("127.0.0.1", 0)) as server:
        edge.apply(admin_url, slug, Route(hostname, f"127.0.0.1:{server.getsockname()[1]}"))
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask)
            connection, _ = server.accept()
            with connection:
                head = connection.recv(65536).decode().lower()
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            assert answer.result().status == 200
    assert head.startswith("get /x?y=1 ")
    assert f"\r\nhost: {hostname}\r\n" in head
    assert "\r\nx-forwarded-for: 127.0.0.1\r\n" in head
    assert "\r\nx-forwarded-proto: http\r\n" in head


def test_a_fenced_route_answers_writes_itself_and_lets_reads_pass(admin_url, slug, hostname, upstream, ask):
    server = upstream("us")
    edge.apply(admin_url, slug, Route(hostname, server.address))
    assert ask("POST", body=b"before").status == 200
    route = Route(hostname, server.address, fenced=True)
    assert edge.apply(admin_url, slug, route) is True
    assert edge.read(admin_url, slug) == route
    for method in UNSAFE:
        answer = ask(method, body=b"lost")
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["content-type"] == "application/json"
        assert answer.body == b'{"error":"app_migrating"}'
    for method in SAFE:
        assert ask(method).status == 200
    assert [method for method, _, _ in server.asked] == ["POST", *SAFE]
    edge.apply(admin_url, slug, Route(hostname, server.address))
    assert ask("POST", body=b"after").status == 200


def test_every_read_is_answered_while_the_route_is_switched_to_and_fro(admin_url, slug, hostname, upstream, ask):
    # When Caddy changes its configuration on Linux, connections that wait at its old listener are cut. Every HTTP
    # client repeats a read whose connection was cut before the answer, so these do too, once.
    us, eu = upstream("us"), upstream("eu")
    edge.apply(admin_url, slug, Route(hostname, us.address))
    stop = threading.Event()
    answers, cuts = [], []

    def read_on():
        while not stop.is_set():
            try:
                answer = ask()
            except plain_http.NoAnswer as error:
                cuts.append(error.hung_up)
                answer = ask()
            answers.append((answer.status, answer.body))

    with ThreadPoolExecutor(6) as pool:
        readers = [pool.submit(read_on) for _ in range(6)]
        try:
            for _ in range(10):
                for server in (eu, us):
                    edge.apply(admin_url, slug, Route(hostname, server.address))
                    time.sleep(0.05)
        finally:
            stop.set()
        for reader in readers:
            reader.result()
    assert set(answers) == {(200, b"us"), (200, b"eu")}
    assert all(cuts)
    assert len(cuts) < len(answers) / 10


def test_a_read_under_way_finishes_where_it_began(admin_url, slug, hostname, upstream, ask):
    with socket.create_server(("127.0.0.1", 0)) as server:
        edge.apply(admin_url, slug, Route(hostname, f"127.0.0.1:{server.getsockname()[1]}"))
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(ask)
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                edge.apply(admin_url, slug, Route(hostname, upstream("eu").address, fenced=True))
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nus")
            assert answer.result().body == b"us"


def test_a_write_whose_connection_breaks_is_not_sent_again(admin_url, slug, hostname, ask):
    received = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)

        def hang_up():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    received.append(connection.recv(65536))

        listener = threading.Thread(target=hang_up, daemon=True)
        listener.start()
        edge.apply(admin_url, slug, Route(hostname, f"127.0.0.1:{server.getsockname()[1]}"))
        assert ask("POST", body=b"once").status == 502
        time.sleep(1)  # the edge tries again after 50 ms, if it does
        assert len(received) == 1
        assert received[0].startswith(b"POST ")
        server.shutdown(socket.SHUT_RDWR)
    listener.join()


def test_a_write_waits_for_an_upstream_that_is_just_starting(admin_url, slug, hostname, ask):
    address = free_address()
    edge.apply(admin_url, slug, Route(hostname, address))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, "POST", body=b"once")
        time.sleep(1)
        assert not answer.done()
        host, port = address.split(":")
        with socket.create_server((host, int(port))) as server:
            server.settimeout(10)
            connection, _ = server.accept()
            with connection:
                got = b""
                while b"once" not in got:
                    got += connection.recv(65536)
                connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            assert answer.result().status == 201
            server.settimeout(1)
            with pytest.raises(TimeoutError):
                server.accept()


def test_removing_is_idempotent_and_brings_back_what_was_shadowed(admin_url, slug, hostname, upstream, ask, raw):
    before, ours = upstream("before"), upstream("ours")
    proxy = {"handler": "reverse_proxy", "upstreams": [{"dial": before.address}]}
    foreign = {
        "@id": f"foreign-{slug}",
        "match": [{"host": ["other.example", hostname.upper()]}],
        "handle": [{"handler": "subroute", "routes": [{"handle": [proxy]}]}],
    }
    assert raw("POST", "/config/apps/http/servers/edge/routes", foreign).status == 200
    try:
        assert edge.find_upstream(admin_url, hostname) == (f"foreign-{slug}", before.address)
        edge.apply(admin_url, slug, Route(hostname, ours.address))
        assert edge.find_upstream(admin_url, hostname) == (f"app-{slug}", ours.address)
        assert ask().body == b"ours"
        assert edge.remove(admin_url, slug) is True
        assert edge.remove(admin_url, slug) is False
        assert ask().body == b"before"
    finally:
        raw("DELETE", f"/id/foreign-{slug}")
    assert edge.find_upstream(admin_url, hostname) is None


def test_many_runners_at_once_lose_no_route_and_make_none_twice(admin_url, slug, hostname, raw):
    slugs = [f"{slug}-{i}" for i in range(4)]
    routes = {s: Route(f"{s}.example", f"127.0.0.1:{9000 + i}") for i, s in enumerate(slugs)}

    def apply(each: str) -> None:
        while True:
            try:
                edge.apply(admin_url, each, routes[each])
                return
            except TransientError as error:  # the engine tries again too
                if error.code not in ("edge_busy", "edge_unreachable"):
                    raise

    try:
        with ThreadPoolExecutor(12) as pool:
            list(pool.map(apply, slugs * 3))
        ids = [route.get("@id") for route in json.loads(raw("GET", "/config/apps/http/servers/edge/routes").body)]
        assert sorted(i for i in ids if i and i.startswith(f"app-{slug}-")) == sorted(f"app-{s}" for s in slugs)
        assert {s: edge.read(admin_url, s) for s in slugs} == routes
    finally:
        for each in slugs:
            edge.remove(admin_url, each)


def test_a_neighbour_that_comes_and_goes_is_never_taken_for_the_apps_own_route(admin_url, slug, hostname, raw):
    """Caddy's /id/ looks up the place and goes there without its lock, so it answered with whoever had come there."""
    routes = [Route(hostname, f"127.0.0.1:{port}") for port in (9000, 9001)]
    edge.apply(admin_url, slug, routes[0])
    over = threading.Event()

    def come_and_go():
        while not over.is_set():
            edge.apply(admin_url, f"{slug}-n", Route(f"n.{hostname}", "127.0.0.1:9002"))
            edge.remove(admin_url, f"{slug}-n")

    try:
        with ThreadPoolExecutor(1) as pool:
            neighbour = pool.submit(come_and_go)
            try:
                for i in range(60):
                    assert edge.read(admin_url, slug) == routes[i % 2]
                    edge.apply(admin_url, slug, routes[(i + 1) % 2])
            finally:
                over.set()
            neighbour.result()
    finally:
        edge.remove(admin_url, f"{slug}-n")
    assert edge.own_routes(admin_url)[slug] == routes[0]


def test_a_route_changed_by_hand_is_not_taken_for_ours_and_is_written_anew(admin_url, slug, hostname, raw):
    route = Route(hostname, "127.0.0.1:9000")
    edge.apply(admin_url, slug, route)
    changed = {"@id": f"app-{slug}", "match": [{"host": [hostname]}], "handle": [{"handler": "static_response"}]}
    assert raw("PATCH", f"/id/app-{slug}", changed).status == 200
    with pytest.raises(PermanentError, match=f"app-{slug}"):
        edge.read(admin_url, slug)
    assert edge.apply(admin_url, slug, route) is True
    assert edge.read(admin_url, slug) == route


def test_an_edge_that_takes_a_route_but_shows_another_is_not_confirmed(admin_url, slug, hostname, monkeypatch):
    monkeypatch.setattr(edge, "_change", lambda *args: 200)
    with pytest.raises(TransientError) as caught:
        edge.apply(admin_url, slug, Route(hostname, "127.0.0.1:9000"))
    assert caught.value.code == "edge_not_confirmed"


def test_an_edge_that_does_not_answer_is_named():
    address = free_address()
    with pytest.raises(TransientError, match=f"edge {address}"):
        edge.read(f"http://{address}", "guestbook")


def test_an_edge_that_hangs_up_is_asked_again_because_caddy_does_so_with_every_change():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def cut_two_and_answer_the_third():
            for body in (b"", b"", b"[]"):
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    if body:
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" + body)

        admin = threading.Thread(target=cut_two_and_answer_the_third, daemon=True)
        admin.start()
        assert edge.read(f"http://127.0.0.1:{server.getsockname()[1]}", "guestbook") is None
        admin.join()


def test_a_caddy_without_the_edge_server_refuses_and_one_without_routes_does_not(tmp_path, upstream):
    admin, served = free_address(), free_address()
    url = f"http://{admin}"
    (tmp_path / "caddy.json").write_text(json.dumps({"admin": {"listen": admin, "config": {"persist": False}}}))
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    caddy = subprocess.Popen(
        ["caddy", "run", "--config", str(tmp_path / "caddy.json")], env=os.environ | home, stderr=subprocess.DEVNULL
    )
    try:
        give_up_at = time.monotonic() + 20
        while True:
            try:
                plain_http.request("GET", url + "/config/")
                break
            except plain_http.NoAnswer:
                assert time.monotonic() < give_up_at
                time.sleep(0.05)
        with pytest.raises(PermanentError, match="called edge"):
            edge.apply(url, "guestbook", Route("g.example", "127.0.0.1:9000"))
        server = {"listen": [served], "automatic_https": {"disable": True}}
        plain_http.request(
            "POST",
            url + "/config/apps",
            body=json.dumps({"http": {"servers": {"edge": server}}}).encode(),
            headers={"Content-Type": "application/json"},
        )
        assert edge.find_upstream(url, "g.example") is None
        assert edge.apply(url, "guestbook", Route("g.example", upstream("us").address)) is True
        assert plain_http.request("GET", f"http://{served}/", headers={"Host": "g.example"}).body == b"us"
    finally:
        caddy.terminate()
        caddy.wait()


@pytest.mark.parametrize(
    ("hostname", "address"),
    [
        ("{env.HOME}", "127.0.0.1:80"),
        ("a b", "127.0.0.1:80"),
        ("", "127.0.0.1:80"),
        ("x.example", "{env.HOME}:80"),
        ("x.example", "127.0.0.1"),
        ("x.example", "unix//tmp/s"),
    ],
)
def test_what_caddy_would_read_otherwise_is_refused(hostname, address):
    with pytest.raises(PermanentError):
        Route(hostname, address)


def test_what_is_no_slug_is_refused(admin_url):
    with pytest.raises(PermanentError):
        edge.remove(admin_url, "../config")


def test_an_admin_url_with_a_login_is_refused_and_not_repeated():
    with pytest.raises(PermanentError) as caught:
        edge.read("http://user:hush@127.0.0.1:2019", "guestbook")
    assert "hush" not in str(caught.value)


def test_requests_do_not_take_the_way_of_a_proxy(admin_url, slug, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://{free_address()}")
    assert edge.read(admin_url, slug) is None

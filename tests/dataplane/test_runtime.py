"""Programs on the sandbox's supervisords: a small web server moves from one to another."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
import uuid

import pytest

from migrations_app.dataplane import blobs, runtime, supervisor_rpc
from migrations_app.dataplane.plain_http import request
from migrations_app.dataplane.process_definition import parse_region_values
from migrations_app.dataplane.runtime import Host
from migrations_app.errors import Interrupted, PermanentError, TransientError

SERVER = """#!/bin/sh
exec "{python}" -c '
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (open("release.txt").read() + "|" + os.environ["SETTINGS"] + "|" + str(os.getpid())).encode()
        self.send_response(200 if self.path == "/health" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer((os.environ["BIND"], int(os.environ["PORT"])), Handler).serve_forever()
'
"""


@pytest.fixture
def program(us, eu):
    name = f"web-{uuid.uuid4().hex[:8]}"
    yield name
    for place in (us, eu):
        runtime.remove(place.host, name)


@pytest.fixture
def port():
    """Free on every region's address."""
    with socket.socket() as probe:
        probe.bind(("0.0.0.0", 0))  # noqa: S104 — to ask for a port, not to serve on it
        return probe.getsockname()[1]


def values(place):
    return parse_region_values((place.programs / "region.env").read_text())


def write_definition(
    place, program, port, *, command='"{PROGRAMS}/{program}/run"', settings="{S3_SECRET_KEY}", extra=""
):
    local = values(place)
    (place.programs / f"{program}.conf").write_text(
        f"[program:{program}]\n"
        f"command={command.format(**local, program=program)}\n"
        f"directory={local['PROGRAMS']}/{program}\n"
        f'environment=BIND="{local["APP_HOST"]}",PORT="{port}",SETTINGS="{settings.format(**local)}"\n'
        f"autostart=false\nstartsecs=1\nstartretries=0\n{extra}"
    )


@pytest.fixture
def deployed(us, program, port):
    """The program on its source: written there, not started."""
    release = us.programs / program
    release.mkdir()
    (release / "run").write_text(SERVER.format(python=sys.executable))
    (release / "run").chmod(0o755)
    (release / "release.txt").write_text("one")
    write_definition(us, program, port)
    return program


def health_url(place, port):
    return f"http://{values(place)['APP_HOST']}:{port}/health"


def ask(place, port):
    """What the program says: its release, its settings, its process id."""
    return request("GET", health_url(place, port)).body.decode().split("|")


def pids(host, program):
    return [i["pid"] for i in supervisor_rpc.call(host.url, "getAllProcessInfo") if i["group"] == program]


def test_a_program_runs_at_the_destination_with_the_destinations_values(us, eu, deployed, port):
    runtime.start(us.host, deployed)
    assert runtime.exists(us.host, deployed)
    assert not runtime.exists(eu.host, deployed)
    runtime.deploy(deployed, us.host, eu.host)
    assert runtime.exists(eu.host, deployed)
    assert not runtime.is_running(eu.host, deployed)
    runtime.start(eu.host, deployed)
    runtime.wait_healthy(health_url(eu, port), deadline_seconds=20)
    assert runtime.is_running(eu.host, deployed)
    assert ask(eu, port)[:2] == ["one", values(eu)["S3_SECRET_KEY"]]
    assert ask(us, port)[:2] == ["one", values(us)["S3_SECRET_KEY"]]


def test_a_percent_sign_reaches_the_program_as_it_is(eu, us, program, deployed, port):
    write_definition(us, program, port, settings="50%% off")
    runtime.deploy(program, us.host, eu.host)
    runtime.start(eu.host, program)
    runtime.wait_healthy(health_url(eu, port), deadline_seconds=20)
    assert ask(eu, port)[1] == "50% off"


def test_starting_twice_is_starting_once(us, deployed, port):
    runtime.start(us.host, deployed)
    before = pids(us.host, deployed)
    runtime.start(us.host, deployed)
    assert pids(us.host, deployed) == before


def test_a_changed_definition_restarts_the_program(us, deployed, port):
    runtime.start(us.host, deployed)
    before = pids(us.host, deployed)
    write_definition(us, deployed, port, settings="changed")
    runtime.start(us.host, deployed)
    runtime.wait_healthy(health_url(us, port), deadline_seconds=20)
    assert ask(us, port)[1] == "changed"
    assert pids(us.host, deployed) != before


def test_a_changed_release_replaces_the_one_that_runs(us, eu, deployed, port):
    runtime.deploy(deployed, us.host, eu.host)
    (eu.programs / deployed / "stale.txt").write_text("left over")
    runtime.start(eu.host, deployed)
    (us.programs / deployed / "release.txt").write_text("two")
    runtime.deploy(deployed, us.host, eu.host)
    assert not runtime.is_running(eu.host, deployed)
    runtime.start(eu.host, deployed)
    runtime.wait_healthy(health_url(eu, port), deadline_seconds=20)
    assert ask(eu, port)[0] == "two"
    assert not (eu.programs / deployed / "stale.txt").exists()


def test_several_processes_of_one_program_start_and_stop_together(us, deployed, port):
    write_definition(
        us, deployed, port, command="/bin/sleep 60", extra="numprocs=3\nprocess_name=%(program_name)s_%(process_num)s\n"
    )
    runtime.start(us.host, deployed)
    assert len(pids(us.host, deployed)) == 3
    assert runtime.is_running(us.host, deployed)
    runtime.stop(us.host, deployed)
    assert pids(us.host, deployed) == [0, 0, 0]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("/bin/false hush", "ended as soon as it was started"),
        ("/bin/sh -c 'exit 0'", "ended as soon as it was started"),
        ("/nowhere/command hush", "is not on .* or cannot be executed"),
        ('"{PROGRAMS}/{program}/release.txt" hush', "is not on .* or cannot be executed"),
    ],
)
def test_a_program_that_does_not_stay_up_is_a_clear_failure(us, deployed, port, command, said):
    write_definition(us, deployed, port, command=command)
    started_at = time.monotonic()
    with pytest.raises(PermanentError, match=said) as caught:
        runtime.start(us.host, deployed)
    assert time.monotonic() - started_at < 15
    assert caught.value.code == "program_failed"
    assert values(us)["S3_SECRET_KEY"] not in str(caught.value)
    assert "hush" not in str(caught.value)
    assert not runtime.is_running(us.host, deployed)


def test_stopping_is_idempotent_and_waits_until_the_port_is_free(us, deployed, port):
    runtime.stop(us.host, deployed)
    runtime.start(us.host, deployed)
    runtime.wait_healthy(health_url(us, port), deadline_seconds=20)
    runtime.stop(us.host, deployed, wait=True)
    assert not runtime.is_running(us.host, deployed)
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((values(us)["APP_HOST"], port))
    runtime.stop(us.host, deployed, wait=True)


def test_removing_leaves_nothing_and_is_idempotent(us, eu, deployed, port):
    runtime.deploy(deployed, us.host, eu.host)
    runtime.start(eu.host, deployed)
    runtime.remove(eu.host, deployed)
    assert not runtime.exists(eu.host, deployed)
    assert not (eu.programs / deployed).exists()
    assert pids(eu.host, deployed) == []
    runtime.remove(eu.host, deployed)
    with pytest.raises(PermanentError) as caught:
        runtime.start(eu.host, deployed)
    assert caught.value.code == "program_unknown"
    assert (us.programs / deployed / "run").exists()


def test_a_value_the_destination_lacks_is_named_before_anything_is_copied(us, eu, deployed, tmp_path):
    (tmp_path / "region.env").write_text("REGION=nowhere-1\n")
    with pytest.raises(PermanentError, match="the destination has no value") as caught:
        runtime.deploy(deployed, us.host, Host(eu.host.url, str(tmp_path)))
    assert not any(value in str(caught.value) for value in values(us).values())
    assert [path.name for path in tmp_path.iterdir()] == ["region.env"]


def test_a_deployment_can_be_interrupted(us, eu, deployed):
    class Enough(Interrupted):
        pass

    def check():
        raise Enough

    (us.programs / deployed / "big").write_bytes(os.urandom(20_000_000))
    with pytest.raises(Enough):
        runtime.deploy(deployed, us.host, eu.host, check=check)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a:b", "Web", "-x", "a*"])
def test_a_name_that_would_reach_elsewhere_is_refused(us, name):
    for act in (runtime.exists, runtime.start, runtime.stop, runtime.is_running, runtime.remove):
        with pytest.raises(PermanentError):
            act(us.host, name)


def test_a_definition_that_supervisord_cannot_read_is_not_quoted(ap, program):
    broken = ap.programs / f"{program}.conf"
    broken.write_text(f'[program:{program}]\ncommand=/bin/true\nenvironment=A="hush\n')
    try:
        with pytest.raises(PermanentError, match="cannot read its configuration") as caught:
            runtime.start(ap.host, program)
        assert "hush" not in str(caught.value)
    finally:
        broken.unlink()


def test_a_supervisord_that_does_not_answer_is_a_passing_fault(us):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(TransientError, match=re.escape(address)):
        runtime.is_running(Host(f"http://{address}/RPC2", us.host.path), "guestbook")


@pytest.mark.parametrize("text", ["machine {machine} login sandbox password hush", "", "machine {machine} hush hush"])
def test_a_refused_login_names_the_machine_and_shows_no_password(us, tmp_path, monkeypatch, text):
    machine = us.host.url.split("/")[2].split(":")[0]
    (tmp_path / "netrc").write_text(text.format(machine=machine) + "\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(PermanentError) as caught:
        runtime.is_running(us.host, "guestbook")
    assert machine in str(caught.value) or "netrc file" in str(caught.value)
    assert "hush" not in str(caught.value)
    assert "hush" not in repr(caught.value.__cause__)


def test_a_login_in_the_url_is_refused_and_not_repeated():
    with pytest.raises(PermanentError) as caught:
        runtime.is_running(Host("http://user:hush@127.0.0.1:9001/RPC2", "/srv"), "guestbook")
    assert "hush" not in str(caught.value)


def test_waiting_for_health_ends_with_the_last_answer(us, deployed, port):
    runtime.start(us.host, deployed)
    runtime.wait_healthy(health_url(us, port), deadline_seconds=20)
    with pytest.raises(TransientError, match="status 500"):
        runtime.wait_healthy(health_url(us, port).replace("/health", "/sick"), deadline_seconds=1)
    runtime.stop(us.host, deployed)
    with pytest.raises(TransientError, match="refused"):
        runtime.wait_healthy(health_url(us, port), deadline_seconds=1)


def test_the_definition_is_written_only_for_the_destination(us, eu, deployed):
    before = (us.programs / f"{deployed}.conf").read_text()
    runtime.deploy(deployed, us.host, eu.host)
    assert (us.programs / f"{deployed}.conf").read_text() == before
    there = blobs.read_text(f"{eu.host.path}/{deployed}.conf")
    assert not any(re.search(rf"{re.escape(value)}(?![\w.])", there) for value in values(us).values())
    runtime.deploy(deployed, eu.host, us.host)
    assert (us.programs / f"{deployed}.conf").read_text() == before

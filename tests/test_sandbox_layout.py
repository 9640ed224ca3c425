"""The sandbox: what it writes, what it listens on, what it refuses, what it leaves."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
from supervisor.options import ServerOptions

from portal.sandbox import files, lifecycle, ports, supervision
from portal.sandbox.environment import environment
from portal.sandbox.layout import MARKER, Layout, SandboxError, find_layout, write_private
from portal.sandbox.servers import Program, environment_of
from portal.sandbox.state import LOCAL, PORTS, REGIONS, Sandbox, load, new_state, require
from portal.sandbox.sweep import end_strays, strays
from tests.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[1]


@pytest.fixture
def unstarted(tmp_path: Path) -> Sandbox:
    """A sandbox of which only the state exists, in a path that needs quoting."""
    root = tmp_path / "100% of it"
    root.mkdir()
    sandbox = Sandbox(Layout(root), new_state(ports.choose()))
    sandbox.save()
    return sandbox


@pytest.fixture
def second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Another checkout's sandbox, running beside that of the test run."""
    monkeypatch.setenv("SANDBOX_DIR", str(tmp_path / "second sandbox"))
    lifecycle.up(servers_only=True)
    yield require(find_layout())
    lifecycle.reset()


def manage(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, CHECKOUT / "manage.py", *argv], capture_output=True, text=True, timeout=120)


def secrets_of(sandbox: Sandbox) -> set[str]:
    return {*sandbox.state.passwords.values(), *sandbox.state.users.values()}


# -- files -------------------------------------------------------------------------------------------------------


def test_the_state_is_read_back_as_it_was_written(unstarted):
    assert load(unstarted.layout) == unstarted


def test_a_state_of_another_version_names_reset(unstarted):
    state = json.loads(unstarted.layout.state_file.read_text())
    write_private(unstarted.layout.state_file, json.dumps({**state, "version": 0}))
    with pytest.raises(SandboxError, match="sandbox reset"):
        load(unstarted.layout)


def test_every_file_with_a_password_is_its_owners_only(unstarted):
    files.write_all(unstarted)
    for path in unstarted.layout.root.rglob("*"):
        if path.is_file() and any(secret in path.read_text() for secret in secrets_of(unstarted)):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_a_region_env_names_its_own_servers(unstarted):
    files.write_all(unstarted)
    for place in REGIONS:
        lines = (unstarted.layout.programs(place.slug) / "region.env").read_text().splitlines()
        values = dict(line.split("=", 1) for line in lines)
        assert values["REGION"] == place.slug
        assert values["DATABASE_ADDRESS"] == unstarted.address(f"{place.slug}-postgres")
        assert values["S3_ENDPOINT"] == f"http://{place.host}:{unstarted.state.ports[f'{place.slug}-s3']}"
        assert values["PROGRAMS"] == str(unstarted.layout.programs(place.slug))


def test_supervisord_reads_what_was_meant_from_a_path_with_spaces_and_percent_signs(unstarted, monkeypatch):
    at = unstarted.layout
    program = Program("one", ("/bin/echo", "a b", "100%", "it's"), at.root, {"PATH_WITH": str(at.root), "A": "1,2"})
    write_private(at.supervisord_file, supervision.configuration(unstarted, [program]))
    (at.root / "log").mkdir()
    monkeypatch.chdir(at.root)
    options = ServerOptions()
    options.realize(["-c", str(at.supervisord_file)])
    (group,) = options.process_group_configs
    (read,) = group.process_configs
    assert shlex.split(read.command) == list(program.argv)
    assert read.directory == str(at.root)
    assert at.root / read.stdout_logfile == at.log("one")
    assert {name: read.environment[name] for name in (*program.env, MARKER)} == environment_of(unstarted, program)


def test_the_exported_lines_survive_a_shell(unstarted, monkeypatch):
    monkeypatch.setenv("SANDBOX_DIR", str(unstarted.layout.root))
    lines = manage("sandbox", "env").stdout
    shown = subprocess.run(
        ["bash", "-c", f'{lines}\nprintf %s "$PGPASSFILE"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == str(unstarted.layout.pgpass_file)


def test_a_path_that_cannot_be_quoted_is_refused(monkeypatch):
    monkeypatch.setenv("SANDBOX_DIR", "/tmp/it's")
    with pytest.raises(SandboxError, match="SANDBOX_DIR"):
        find_layout()


# -- ports -------------------------------------------------------------------------------------------------------


@pytest.fixture
def squatter(unstarted):
    """Another program on the port of Redis."""
    with socket.create_server((LOCAL, unstarted.state.ports["redis"])):
        yield


def test_a_taken_port_is_chosen_anew_while_nothing_depends_on_it(unstarted, squatter):
    before = dict(unstarted.state.ports)
    ports.settle(unstarted)
    assert [name for name in PORTS if unstarted.state.ports[name] != before[name]] == ["redis"]


def test_a_taken_port_is_named_once_the_sandbox_has_been_up(unstarted, squatter, monkeypatch):
    unstarted.state.settled = True
    unstarted.save()
    monkeypatch.setenv("SANDBOX_DIR", str(unstarted.layout.root))
    done = manage("sandbox", "up", "--servers-only")
    assert done.returncode == 1
    assert f"Port {unstarted.state.ports['redis']}" in done.stderr
    assert "redis" in done.stderr
    assert "sandbox reset" in done.stderr
    assert "Traceback" not in done.stderr


# -- what it refuses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["up", "reset"])
def test_a_folder_with_other_things_in_it_is_left_alone(verb, tmp_path, monkeypatch):
    (tmp_path / "thesis.txt").write_text("mine")
    monkeypatch.setenv("SANDBOX_DIR", str(tmp_path))
    done = manage("sandbox", verb)
    assert done.returncode == 1
    assert "is not a sandbox" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_without_a_sandbox_status_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("SANDBOX_DIR", str(tmp_path / "none"))
    done = manage("sandbox", "status", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["running"] is False
    assert not (tmp_path / "none").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs PostgreSQL as somebody else")
@pytest.mark.parametrize("user", ["root", "no-such-user"])
def test_a_user_that_postgresql_cannot_run_as_is_named(user, tmp_path, monkeypatch):
    monkeypatch.setenv("SANDBOX_DIR", str(tmp_path / "new"))
    monkeypatch.setenv("SANDBOX_USER", user)
    done = manage("sandbox", "up")
    assert done.returncode == 1
    assert "SANDBOX_USER" in done.stderr
    assert "Traceback" not in done.stderr


# -- the running one ---------------------------------------------------------------------------------------------


def test_status_lists_regions_whose_database_can_be_opened_with_the_environment():
    status = lifecycle.status()
    assert status.running
    assert [region["slug"] for region in status.regions] == ["us-east-1", "eu-west-1", "ap-south-1"]
    for region in status.regions:
        with psycopg.connect(region["database"], passfile=environment()["PGPASSFILE"]) as connection:
            assert connection.execute("SHOW wal_level").fetchone() == ("logical",)
            assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)


def test_nothing_listens_beyond_loopback_and_no_region_on_anothers_address():
    layout = find_layout()
    try:
        listening = [
            connection.laddr
            for process in strays(layout)
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    except psutil.AccessDenied:
        pytest.skip("The sockets of another user's processes cannot be seen here.")
    wanted = {(host, require(layout).state.ports[name]) for name, (host, *_) in PORTS.items()}
    assert listening
    assert {(address.ip, address.port) for address in listening} <= wanted


def test_no_password_stands_in_a_command_line():
    secrets = secrets_of(require(find_layout()))
    for process in strays(find_layout()):
        line = " ".join(process.cmdline())
        assert not any(secret in line for secret in secrets), process


def test_a_second_sandbox_survives_kills_and_leaves_nothing(second):
    at = second.layout
    beside = lifecycle.status()
    pids = {process.name: process.pid for process in beside.processes}

    os.kill(pids["us-east-1-postgres"], signal.SIGKILL)
    os.kill(pids["redis"], signal.SIGKILL)
    assert lifecycle.up(servers_only=True).running

    os.kill(int(at.pid_file.read_text()), signal.SIGKILL)
    wait_until(lambda: not lifecycle.status().running)
    assert strays(at)
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=at.root)
    lifecycle.down()
    assert not [process for process in strays(at) if process.status() != psutil.STATUS_ZOMBIE]
    assert stranger.poll() is None
    stranger.communicate(b"\n")

    again = lifecycle.up(servers_only=True)
    assert again.edge == beside.edge
    lifecycle.reset()
    assert not at.root.exists()
    assert at.postgres_home == at.root / "postgres" or not at.postgres_home.exists()


def test_sweeping_ends_what_carries_the_mark_only(tmp_path):
    at = Layout(tmp_path)
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    ours = subprocess.Popen(sleeper, env={**os.environ, MARKER: str(tmp_path)})
    others = subprocess.Popen(
        sleeper, env={**os.environ, MARKER: str(tmp_path / "other"), "SANDBOX_DIR": str(tmp_path)}
    )
    wait_until(lambda: strays(at))
    end_strays(at)
    assert not psutil.pid_exists(ours.pid)
    assert others.poll() is None
    others.kill()
    others.wait()

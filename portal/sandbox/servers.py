"""The programs of a sandbox: how each is started, and how one sees that it serves."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from portal.sandbox import binaries, clusters, readiness
from portal.sandbox.environment import environment
from portal.sandbox.layout import CHECKOUT, MARKER, REGION_MARKER
from portal.sandbox.state import REGIONS, Place, Sandbox

SERVERS = "servers"
PORTAL = "portal"

_KEPT = ("HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
"""All that programs take over from the shell that starts them: its PG*, RCLONE_* or proxies would reach them too."""


# rclone wants the pair in double quotes, and supervisord takes quotes at the ends of a value away.
_RCLONE_WITH_KEY = '''RCLONE_AUTH_KEY='"'$ACCESS_KEY,$SECRET_KEY'"' exec "$0" "$@"'''


def _nothing_to_ask() -> None:
    """For programs that serve nobody: running is all they can show."""


@dataclass(frozen=True)
class Program:
    """One program under the sandbox's supervisord.

    `ready` raises readiness.NotReady until it serves. `stop_seconds`: how long it gets after `stop_signal`.
    """

    name: str
    argv: tuple[str, ...]
    directory: Path
    env: dict[str, str] = field(default_factory=dict)
    ready: Callable[[], None] = _nothing_to_ask
    group: str = SERVERS
    user: str = ""
    stop_signal: str = "TERM"
    stop_seconds: int = 10


def inherited_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT if name in os.environ} | {
        "PATH": os.environ.get("PATH", os.defpath)
    }


def server_programs(sandbox: Sandbox) -> list[Program]:
    """The portal's own servers and those of every region."""
    programs = [_postgres(sandbox, clusters.PORTAL), _redis(sandbox), _edge(sandbox)]
    for place in REGIONS:
        programs += [
            _postgres(sandbox, f"{place.slug}-postgres"),
            _s3(sandbox, place),
            _runtime_host(sandbox, place),
        ]
    return programs


def portal_programs(sandbox: Sandbox) -> list[Program]:
    """The portal on top of them: web, a worker per region, the reconciler, the sender."""

    def manage(name: str, *argv: str) -> Program:
        return Program(name, (sys.executable, "manage.py", *argv), CHECKOUT, env, group=PORTAL)

    env = {
        **environment(sandbox.layout),
        "PYTHONUNBUFFERED": "1",
        "DJANGO_SETTINGS_MODULE": "portal.settings",
        "MOVES_STOP_GRACE_SECONDS": "5",  # `sandbox down` waits ten
    }
    web = Program(
        "web",
        (
            *(sys.executable, "-m", "gunicorn", "portal.wsgi", "--bind", sandbox.address("web")),
            *("--workers", "4", "--threads", "2", "--preload", "--graceful-timeout", "5", "--no-control-socket"),
        ),
        CHECKOUT,
        env,
        ready=partial(readiness.http_answers, sandbox.address("web"), "/healthz"),
        group=PORTAL,
    )
    workers = [manage(f"worker-{place.slug}", "work", place.slug) for place in REGIONS]
    return [web, *workers, manage("reconciler", "reconcile"), manage("sender", "deliver")]


def environment_of(sandbox: Sandbox, program: Program) -> dict[str, str]:
    return {**program.env, MARKER: str(sandbox.layout.root)}


def _postgres(sandbox: Sandbox, name: str) -> Program:
    at = sandbox.layout
    host, port = sandbox.address(name).split(":")
    return Program(
        name,
        (
            str(binaries.server_postgres_bin(at) / "postgres"),
            *("-D", str(at.cluster(name)), "-c", f"config_file={at.postgres_conf(name)}"),
        ),
        at.cluster(name),
        {} if name == clusters.PORTAL else {"PGPASSFILE": str(at.postgres_pgpass_file)},
        ready=partial(readiness.postgres_answers, host, int(port), clusters.superuser(name), sandbox.password(name)),
        user=at.postgres_user,
        stop_signal="INT",
        stop_seconds=30,
    )


def _redis(sandbox: Sandbox) -> Program:
    host, port = sandbox.address("redis").split(":")
    return Program(
        "redis",
        (str(binaries.redis_server()), "redis.conf"),
        sandbox.layout.redis,
        ready=partial(readiness.redis_answers, host, int(port), sandbox.password("redis")),
    )


def _edge(sandbox: Sandbox) -> Program:
    home = sandbox.layout.edge
    return Program(
        "edge",
        # --resume: a restarted edge keeps the routes that it was given through its admin API.
        (
            *(sys.executable, str(Path(__file__).with_name("listen.py")), sandbox.address("edge")),
            *(str(binaries.caddy()), "run", "--config", "caddy.json", "--resume"),
        ),
        home,
        {"XDG_CONFIG_HOME": str(home / "config"), "XDG_DATA_HOME": str(home / "data")},
        ready=partial(readiness.http_answers, sandbox.address("edge-admin"), "/config/"),
    )


def _s3(sandbox: Sandbox, place: Place) -> Program:
    name = f"{place.slug}-s3"
    folder = sandbox.layout.region(place.slug)
    return Program(
        name,
        (
            *("/bin/sh", "-c", _RCLONE_WITH_KEY, str(binaries.rclone())),
            *("serve", "s3", "--config=", "--addr", sandbox.address(name)),
            *("--", str(sandbox.layout.blobs(place.slug))),
        ),
        folder,
        {
            "ACCESS_KEY": sandbox.password(f"{name}-access"),
            "SECRET_KEY": sandbox.password(name),
            "RCLONE_CACHE_DIR": str(folder / "cache"),
        },
        ready=partial(readiness.http_answers, sandbox.address(name), "/"),
    )


def _runtime_host(sandbox: Sandbox, place: Place) -> Program:
    name = f"{place.slug}-supervisord"
    folder = sandbox.layout.region(place.slug)
    return Program(
        name,
        (sys.executable, "-m", "portal.sandbox.runtime_host", str(folder)),
        CHECKOUT,
        {REGION_MARKER: str(folder)},
        ready=partial(readiness.supervisor_answers, sandbox.address(name), sandbox.password(name)),
        stop_seconds=30,
    )

"""The files that servers and clients read: configurations, and the passwords of each in its tool's own format."""

from __future__ import annotations

import json

from portal.sandbox.layout import make_private, postgres_ids, write_private
from portal.sandbox.state import LOCAL, REGIONS, Place, Sandbox

SUPERVISOR_LOGIN = "supervisor"


def write_all(sandbox: Sandbox) -> None:
    """Write every file anew. The servers' data is not touched."""
    at = sandbox.layout
    for folder in (at.root / "log", at.work, at.edge, at.redis):
        make_private(folder)
    write_private(at.pgpass_file, pgpass(sandbox))
    write_private(at.rclone_file, rclone_conf(sandbox))
    write_private(at.netrc_file, netrc(sandbox))
    if sandbox.state.with_portal:
        write_private(at.logins_file, logins(sandbox))
    write_private(at.redis / "redis.conf", redis_conf(sandbox))
    write_private(at.edge / "caddy.json", caddy_json(sandbox))
    for place in REGIONS:
        make_private(at.blobs(place.slug))
        make_private(at.programs(place.slug))
        make_private(at.region(place.slug) / "log")
        write_private(at.region(place.slug) / "supervisord.conf", runtime_conf(sandbox, place))
        write_private(at.programs(place.slug) / "region.env", region_env(sandbox, place))
    if not sandbox.state.settled:
        # Caddy resumes from what it saved, and that names ports which may have been chosen anew.
        (at.edge / "config" / "caddy" / "autosave.json").unlink(missing_ok=True)


def write_postgres(sandbox: Sandbox, program: str, settings: dict[str, str]) -> None:
    """The configuration of one PostgreSQL server.

    Outside its data directory and not owned by the server's user, who could otherwise make root follow a link.
    """
    at = sandbox.layout
    lines = [f"{name} = '{value}'" for name, value in settings.items()]
    mode = 0o644 if at.postgres_user else 0o600
    write_private(at.postgres_conf(program), "\n".join([*lines, ""]), mode=mode)
    write_private(at.postgres_hba_file, "host all,replication all 127.0.0.0/8 scram-sha-256\n", mode=mode)
    write_private(at.postgres_pgpass_file, region_pgpass(sandbox), owner=postgres_ids(at))


def region_pgpass(sandbox: Sandbox) -> str:
    lines = []
    for place in REGIONS:
        name = f"{place.slug}-postgres"
        lines.append(f"{place.host}:{sandbox.state.ports[name]}:*:portal:{sandbox.password(name)}\n")
    return "".join(lines)


def pgpass(sandbox: Sandbox) -> str:
    own = f"{LOCAL}:{sandbox.state.ports['portal-postgres']}:*"
    return (
        region_pgpass(sandbox)
        + f"{own}:portal:{sandbox.password('portal')}\n"
        + f"{own}:postgres:{sandbox.password('portal-postgres')}\n"
    )


def rclone_conf(sandbox: Sandbox) -> str:
    return "\n".join(
        f"[{place.slug}]\n"
        "type = s3\n"
        "provider = Rclone\n"
        f"endpoint = {sandbox.url(f'{place.slug}-s3')}\n"
        f"access_key_id = {sandbox.password(f'{place.slug}-s3-access')}\n"
        f"secret_access_key = {sandbox.password(f'{place.slug}-s3')}\n"
        "list_version = 2\n"
        for place in REGIONS
    )


def netrc(sandbox: Sandbox) -> str:
    return "".join(
        f"machine {place.host} login {SUPERVISOR_LOGIN} password {sandbox.password(f'{place.slug}-supervisord')}\n"
        for place in REGIONS
    )


def logins(sandbox: Sandbox) -> str:
    lines = [f"The portal is at {sandbox.url('web')}/", ""]
    lines += [f"{login:10} {password}" for login, password in sandbox.state.users.items()]
    return "\n".join([*lines, ""])


def redis_conf(sandbox: Sandbox) -> str:
    return (
        f"bind {LOCAL}\n"
        f"port {sandbox.state.ports['redis']}\n"
        f"requirepass {sandbox.password('redis')}\n"
        'save ""\n'
        "appendonly no\n"
        "daemonize no\n"
    )


def caddy_json(sandbox: Sandbox) -> str:
    """An edge that serves nobody yet. The portal adds its routes through the admin API."""
    return json.dumps(
        {
            "admin": {"listen": sandbox.address("edge-admin")},
            "apps": {
                "http": {
                    "grace_period": "5s",
                    "servers": {
                        "edge": {
                            "listen": ["fd/3"],  # listen.py opens it
                            "automatic_https": {"disable": True},
                            "routes": [],
                        }
                    },
                }
            },
        },
        indent=1,
    )


def inet_http_server(address: str, password: str) -> str:
    return (
        "[inet_http_server]\n"
        f"port = {address}\n"
        f"username = {SUPERVISOR_LOGIN}\n"
        f"password = {password}\n"
        "[rpcinterface:supervisor]\n"
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n"
    )


def runtime_conf(sandbox: Sandbox, place: Place) -> str:
    """A region's runtime host: a supervisord that knows the programs put into its folder.

    Its own log goes to standard output; the pattern is relative, because a path in it may hold no space.
    """
    name = f"{place.slug}-supervisord"
    return (
        "[supervisord]\n"
        "nodaemon = true\n"
        f"identifier = {place.slug}\n"
        "logfile = /dev/null\n"
        "logfile_maxbytes = 0\n"
        "childlogdir = log\n"
        "pidfile = supervisord.pid\n"
        "umask = 077\n"
        + inet_http_server(sandbox.address(name), sandbox.password(name))
        + "[include]\nfiles = programs/*.conf\n"
    )


def region_env(sandbox: Sandbox, place: Place) -> str:
    """What is local to the region and part of an app's process definition; rewritten when an app moves."""
    at = sandbox.layout
    values = {
        "REGION": place.slug,
        "APP_HOST": place.host,
        "DATABASE_ADDRESS": sandbox.address(f"{place.slug}-postgres"),
        "S3_ENDPOINT": sandbox.url(f"{place.slug}-s3"),
        "S3_ACCESS_KEY": sandbox.password(f"{place.slug}-s3-access"),
        "S3_SECRET_KEY": sandbox.password(f"{place.slug}-s3"),
        "PROGRAMS": str(at.programs(place.slug)),
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())

"""What a shell, the portal or a test needs to work with a sandbox by hand."""

from __future__ import annotations

import os

from portal.sandbox import binaries
from portal.sandbox.layout import Layout, find_layout
from portal.sandbox.state import LOCAL, REGIONS, require


def environment(layout: Layout | None = None) -> dict[str, str]:
    """The variables of the sandbox in `layout` (default: this checkout's, or the one in SANDBOX_DIR).

    SandboxError when there is none. The values hold the portal's secret key and the password of Redis; those of
    PostgreSQL, S3 and the runtimes stay in the files that are named.
    """
    sandbox = require(layout or find_layout())
    at = sandbox.layout
    path = [str(binaries.postgres_bin()), str(binaries.venv_bin())]
    path += [part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part not in path]
    values = {
        "PATH": os.pathsep.join(path),
        "PG_BIN_DIR": str(binaries.postgres_bin()),
        "PGPASSFILE": str(at.pgpass_file),
        "RCLONE_CONFIG": str(at.rclone_file),
        "NETRC": str(at.netrc_file),
        "DATABASE_URL": f"postgres://portal@{sandbox.address('portal-postgres')}/portal",
        "REDIS_URL": f"redis://:{sandbox.password('redis')}@{sandbox.address('redis')}/0",
        "EDGE_ADMIN_URLS": sandbox.url("edge-admin"),
        "EDGE_PUBLIC_URLS": sandbox.url("edge"),
        "EDGE_URL": sandbox.url("edge"),
        "MOVES_WORK_DIR": str(at.work),
        "SECRET_KEY": sandbox.password("django"),
        "MOVES_PUBLIC_URL": sandbox.url("web"),
        "MOVES_WEBHOOK_KEY": f"webhooks-{sandbox.password('django')}",
        "MOVES_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "ALLOWED_HOSTS": f"{LOCAL},localhost",
        "SANDBOX_DIR": str(at.root),
    }
    if any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in os.environ):
        direct = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""]
        direct += [host for host in (LOCAL, "localhost", *(place.host for place in REGIONS))]
        values["NO_PROXY"] = values["no_proxy"] = ",".join(dict.fromkeys(filter(None, ",".join(direct).split(","))))
    return values

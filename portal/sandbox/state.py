"""What the sandbox remembers between two runs: its ports, passwords and people. One tree, one file, mode 0600."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass
from decimal import Decimal

from portal.sandbox.layout import Layout, SandboxError, write_private

LOCAL = "127.0.0.1"
APP = "guestbook"
"""The sample app; its port is the same in every region."""

TEAM = "guestbook-team"
"""Owns the sample app."""

ROLES = ("viewer", "requester", "approver", "operator", "admin")

_VERSION = 1
_SECRET_BYTES = 24


@dataclass(frozen=True)
class Place:
    """A region of the sandbox. Each is its own loopback host, so an app keeps its port wherever it goes."""

    slug: str
    name: str
    host: str
    cost_per_gb_month_usd: Decimal


REGIONS = (
    Place("us-east-1", "US East", "127.0.0.1", Decimal("0.115")),
    Place("eu-west-1", "EU West", "127.0.0.2", Decimal("0.127")),
    Place("ap-south-1", "Asia Pacific South", "127.0.0.3", Decimal("0.138")),
)

PORTS: dict[str, tuple[str, ...]] = {
    **{name: (LOCAL,) for name in ("control", "portal-postgres", "redis", "edge", "edge-admin", "web")},
    **{f"{place.slug}-{server}": (place.host,) for place in REGIONS for server in ("postgres", "s3", "supervisord")},
    APP: tuple(place.host for place in REGIONS),
}
"""Every port by name, and the addresses it has to be free on."""


@dataclass
class State:
    """`ports` by the names in PORTS; `passwords` by what they open; `users` = the portal's people, login → password.

    `settled`: the servers have been up once, so something may depend on the ports.
    `with_portal`: web, workers, reconciler and sender belong to it, not only the servers.
    """

    ports: dict[str, int]
    passwords: dict[str, str]
    users: dict[str, str]
    settled: bool = False
    with_portal: bool = False
    version: int = _VERSION


@dataclass(frozen=True)
class Sandbox:
    layout: Layout
    state: State

    def save(self) -> None:
        write_private(self.layout.state_file, json.dumps(asdict(self.state), indent=1))

    def address(self, name: str) -> str:
        """host:port of a port in PORTS."""
        return f"{PORTS[name][0]}:{self.state.ports[name]}"

    def url(self, name: str) -> str:
        return f"http://{self.address(name)}"

    def password(self, name: str) -> str:
        return self.state.passwords[name]


def new_state(ports: dict[str, int]) -> State:
    """A state with fresh passwords. They are hexadecimal: no file format or URL has to quote them."""
    names = ["control", "portal", "portal-postgres", "redis", "django"]
    for place in REGIONS:
        names += [f"{place.slug}-{use}" for use in ("postgres", "s3-access", "s3", "supervisord")]
    return State(
        ports=ports,
        passwords={name: secrets.token_hex(_SECRET_BYTES) for name in names},
        users={role: secrets.token_hex(8) for role in ROLES},
    )


def load(layout: Layout) -> Sandbox | None:
    """The sandbox in `layout`, None when there is none. SandboxError when its file cannot be understood."""
    try:
        text = layout.state_file.read_text()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        state = State(**json.loads(text))
    except (ValueError, TypeError):
        state = None
    if state is None or state.version != _VERSION or set(state.ports) != set(PORTS):
        raise SandboxError(
            f"{layout.state_file} was not written by this version of the sandbox.",
            hint="`manage.py sandbox reset` removes the sandbox; `manage.py sandbox up` makes a new one.",
        )
    return Sandbox(layout, state)


def require(layout: Layout) -> Sandbox:
    """The sandbox in `layout`; SandboxError when there is none."""
    sandbox = load(layout)
    if sandbox is None:
        raise SandboxError(f"There is no sandbox in {layout.root}.", hint="`manage.py sandbox up` makes one.")
    return sandbox

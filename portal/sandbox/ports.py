"""Free ports: chosen once, kept as long as the sandbox lives."""

from __future__ import annotations

import errno
import random
import socket
from collections.abc import Iterable

from portal.sandbox.layout import SandboxError
from portal.sandbox.state import PORTS, Sandbox

# Below the range from which Linux takes the local ports of outgoing connections (32768 and up): one of those could
# sit on a server's port just when it restarts.
_RANGE = range(20_000, 32_000)


def is_free(hosts: Iterable[str], port: int) -> bool:
    """Whether a server could listen on `port` of each of `hosts` now."""
    for host in hosts:
        with socket.socket() as probe:
            # As the servers do: connections of a server that has just stopped do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                probe.listen()
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise SandboxError(
                        f"This machine has no address {host}; each region of the sandbox is a loopback address.",
                        hint=f"On macOS `sudo ifconfig lo0 alias {host}` adds it.",
                    ) from error
                return False
    return True


def choose(taken: Iterable[int] = ()) -> dict[str, int]:
    """A free port for every name in PORTS, none of them in `taken`."""
    used = set(taken)
    chosen = {}
    for name, hosts in PORTS.items():
        chosen[name] = _choose_one(hosts, used)
        used.add(chosen[name])
    return chosen


def settle(sandbox: Sandbox) -> None:
    """Make sure that every server can have its port. To be called while no server runs.

    A port that somebody else has is chosen anew as long as nothing depends on it; afterwards it is a SandboxError.
    """
    ports = sandbox.state.ports
    for name, hosts in PORTS.items():
        if is_free(hosts, ports[name]):
            continue
        if sandbox.state.settled:
            raise SandboxError(
                f"Port {ports[name]} on {' and '.join(hosts)}, which belongs to the sandbox's {name}, is taken by "
                "another program.",
                hint="Stop that program, or give the sandbox up with `manage.py sandbox reset`: "
                "the next `sandbox up` chooses new ports.",
            )
        ports[name] = _choose_one(hosts, set(ports.values()))


def _choose_one(hosts: Iterable[str], used: set[int]) -> int:
    for port in random.sample(_RANGE, len(_RANGE)):
        if port not in used and is_free(hosts, port):
            return port
    raise SandboxError("No port is free on this machine.", hint="Stop some of the programs that listen on ports.")

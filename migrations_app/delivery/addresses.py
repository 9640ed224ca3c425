"""Which addresses may be posted to: public ones, and those that MOVES_WEBHOOK_ALLOWED_NETWORKS names.

A subscription's URL comes from a person, and the portal stands where region databases, metadata services and its own
Redis can be reached. So the name is resolved here, once, every address it has is looked at, and the connection is made
to one of those: a name server that answers otherwise the second time (DNS rebinding) is not asked.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from django.conf import settings

from migrations_app.errors import TransientError

_GLOBAL_IPV6 = IPv6Network("2000::/3")
_NOT_PUBLIC_EITHER = (
    ip_network("2002::/16"),  # 6to4: sent on to any IPv4 address; other tunnels are outside _GLOBAL_IPV6, or not global
    ip_network("192.0.0.0/24"),  # Oracle's metadata service is there; Python 3.11.7 takes most of it for global
    ip_network("168.63.129.16/32"),  # Azure's metadata service
)

SocketAddress = tuple[Any, ...]
"""As socket.connect() takes it."""


def permitted(host: str, port: int, *, is_encrypted: bool) -> list[tuple[socket.AddressFamily, SocketAddress]]:
    """Every address of the host, in the resolver's order. TransientError unless each of them may be posted to.

    Without TLS only those that the settings allow: what is told would be read on the way.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise TransientError(f"The name {host} cannot be resolved.", code="name_not_resolved") from error
    for _, _, _, _, address in found:
        ip = ip_address(str(address[0]).partition("%")[0])
        if _is_allowed(ip):
            continue
        if not _is_public(ip):
            raise TransientError(
                f"{host} is at {ip}, which is not a public address.",
                hint="If it is meant to be told, add its network to MOVES_WEBHOOK_ALLOWED_NETWORKS.",
                code="address_not_allowed",
            )
        if not is_encrypted:
            raise TransientError(
                f"{host} is at {ip}, a public address, and the URL is not https.",
                hint="Use https.",
                code="not_encrypted",
            )
    return [(family, address) for family, _, _, _, address in found]


def _is_allowed(ip: IPv4Address | IPv6Address) -> bool:
    plain = _ipv4_of(ip)
    return any(plain in network for network in settings.MOVES_WEBHOOK_ALLOWED_NETWORKS)


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    plain = _ipv4_of(ip)
    if isinstance(plain, IPv6Address) and plain not in _GLOBAL_IPV6:
        return False
    return plain.is_global and not plain.is_multicast and not any(plain in network for network in _NOT_PUBLIC_EITHER)


def _ipv4_of(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 socket would connect to; else the address itself."""
    return (ip.ipv4_mapped if isinstance(ip, IPv6Address) else None) or ip

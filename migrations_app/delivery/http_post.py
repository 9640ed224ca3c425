"""One POST to an address that somebody subscribed: bounded in time and in what is read, and never sent elsewhere."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Timer
from urllib.parse import urlsplit

from migrations_app.channels import url_problem
from migrations_app.delivery.addresses import permitted
from migrations_app.errors import TransientError

CONNECT_SECONDS = 10.0
"""For each address; as long may be waited for each piece of the answer."""
WHOLE_SECONDS = 20.0
"""For all of it but the name's resolution, whatever the receiver does to draw it out."""
MOST_READ = 64 * 1024
"""Bytes of the answer's body."""


@dataclass(frozen=True)
class Answer:
    """`retry_after`: seconds that the receiver asks for, or None."""

    status: int
    retry_after: float | None


def post(url: str, body: bytes, headers: Mapping[str, str], *, whole_seconds: float = WHOLE_SECONDS) -> Answer:
    """Send it, and read the status; a redirect is an answer like any other. No proxies, no credentials.

    TransientError says why there is no answer. No error repeats the URL: it may be a secret.
    """
    problem = url_problem(url)
    if problem:
        raise TransientError(problem.reason, hint=problem.hint, code=problem.code)
    parts = urlsplit(url)
    host, context = str(parts.hostname), ssl.create_default_context() if parts.scheme == "https" else None
    port = parts.port or (443 if context else 80)
    connection = (
        http.client.HTTPSConnection(host, port, context=context) if context else http.client.HTTPConnection(host, port)
    )
    addresses = permitted(host, port, is_encrypted=context is not None)
    ends_at = time.monotonic() + whole_seconds
    try:
        with (
            _connected(addresses, ends_at) as plain,
            _encrypted(plain, host, context) as sock,
            _cut_off_at(ends_at, sock),
        ):
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            connection.sock = sock
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", target, body=body, headers=dict(headers))
            response = connection.getresponse()
            with suppress(OSError, http.client.HTTPException):  # the status is what counts
                response.read(MOST_READ)
            return Answer(response.status, _retry_after(response.headers.get("Retry-After", "")))
    except ssl.SSLCertVerificationError as error:
        raise TransientError(
            f"The certificate of {host} is not accepted: {error.verify_message}.", code="certificate_refused"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        if time.monotonic() >= ends_at or isinstance(error, TimeoutError):
            raise TransientError(f"{host} has not answered in time.", code="receiver_too_slow") from error
        why = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
        raise TransientError(f"{host} gave no answer: {why}.", code="receiver_away") from error


@contextmanager
def _connected(
    addresses: list[tuple[socket.AddressFamily, tuple[object, ...]]], ends_at: float
) -> Iterator[socket.socket]:
    """A connection to the first of the addresses that takes one."""
    failure: OSError = TimeoutError()
    for family, address in addresses:
        left = min(CONNECT_SECONDS, ends_at - time.monotonic())
        if left <= 0:
            break
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.settimeout(left)
            try:
                sock.connect(address)
            except OSError as error:
                failure = error
                continue
            sock.settimeout(CONNECT_SECONDS)
            yield sock
            return
    raise failure


@contextmanager
def _encrypted(sock: socket.socket, host: str, context: ssl.SSLContext | None) -> Iterator[socket.socket]:
    """The connection under TLS, its certificate to be verified against the name; the handshake is still to come.
    Without a context as it is."""
    if context is None:
        yield sock
        return
    with context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False) as encrypted:
        yield encrypted


@contextmanager
def _cut_off_at(ends_at: float, sock: socket.socket) -> Iterator[None]:
    """Time-outs count from byte to byte: who sends one byte every nine seconds would hold the sender for days."""

    def cut_off() -> None:
        with suppress(OSError):  # it is closed already
            socket.socket.shutdown(sock, socket.SHUT_RDWR)  # of an SSLSocket this one leaves the TLS state alone

    timer = Timer(max(0.0, ends_at - time.monotonic()), cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _retry_after(said: str) -> float | None:
    """Seconds, from a number of them or a date. None: nothing was said, or nothing that can be understood."""
    if said.isascii() and said.isdigit():
        return float(said[:9])
    with suppress(ValueError, TypeError, OverflowError, IndexError):
        at = parsedate_to_datetime(said)
        return max(0.0, (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return None

"""One HTTP request with a time-out, as the drivers need it: no proxies, no redirects, no credentials."""

from __future__ import annotations

import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from migrations_app.dataplane import runner
from migrations_app.errors import PermanentError


class NoAnswer(Exception):
    """The server refused the connection, hung up or took too long.

    `hung_up`: there was a connection, and the server cut it before its answer; it may have acted on the request.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error) or type(error).__name__)
        self.hung_up = isinstance(error, ConnectionResetError | BrokenPipeError)


@dataclass(frozen=True)
class Response:
    """`headers` are keyed in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request(
    method: str,
    url: str,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    timeout_seconds: float = 10,
) -> Response:
    """Send one request and read its answer whole.

    Errors: NoAnswer; PermanentError `bad_url` when `url` is no http(s) URL or carries a login; LeaseLost.
    """
    runner.check()
    parts = urlsplit(url)
    try:
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.username is None and parts.port != 0
    except ValueError:  # the port is no number
        usable = False
    if not usable or parts.hostname is None:
        raise PermanentError("A URL here is http(s)://host:port/… without a login.", code="bad_url")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = kind(parts.hostname, parts.port, timeout=timeout_seconds)
        try:
            connection.request(method, target, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            return Response(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        raise NoAnswer(error) from error


def where(url: str) -> str:
    """`host:port` of a URL, for messages."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)

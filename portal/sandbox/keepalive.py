"""One kept-alive HTTP connection that says exactly how a request ended."""

from __future__ import annotations

import http.client
import select
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answer:
    """`whole` is False when the body broke off; the status line was received all the same."""

    status: int
    body: bytes
    retry_after: str | None
    whole: bool


class NoAnswer(Exception):
    """The connection broke, or timed out, before there was a status line."""


class Connection:
    """A connection to `url` for requests to the host name `hostname`; opened again when it was closed.

    A server may close an idle connection at any moment, so a GET on a connection used before that ends without one
    byte of an answer is sent again, once, on a fresh one, as every HTTP client does. Nothing else is sent twice.
    """

    def __init__(self, url: str, hostname: str, *, timeout: float) -> None:
        parts = urlsplit(url)
        self._http = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
        self._hostname = hostname

    def get(self, path: str) -> Answer:
        used_before = self._is_open()
        try:
            return self._request("GET", path, None, {})
        except NoAnswer as error:
            if not used_before or not isinstance(error.__cause__, ConnectionError):
                raise
            return self._request("GET", path, None, {})

    def post(self, path: str, body: bytes, content_type: str) -> Answer:
        self._is_open()
        return self._request("POST", path, body, {"Content-Type": content_type})

    def close(self) -> None:
        self._http.close()

    def _is_open(self) -> bool:
        """Whether the next request goes out on a connection used before; one that the server closed is let go."""
        if self._http.sock is None:
            return False
        poll = select.poll()
        poll.register(self._http.sock, select.POLLIN)
        if poll.poll(0):  # nothing is due on an idle connection but its end
            self._http.close()
            return False
        return True

    def _request(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        try:
            self._http.request(method, path, body, {"Host": self._hostname, **headers})
            response = self._http.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            raise NoAnswer(f"{type(error).__name__}: {error}") from error
        try:
            content, whole = response.read(), True
        except (OSError, http.client.HTTPException):
            self._http.close()
            content, whole = b"", False
        return Answer(response.status, content, response.headers.get("Retry-After"), whole)

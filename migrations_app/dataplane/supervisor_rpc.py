"""Calls to a supervisord over XML-RPC, and what its faults mean.

The login comes from the netrc file (NETRC, or ~/.netrc): machine, login, password. It is sent as a header and stands
in no URL, so no exception shows it.
"""

from __future__ import annotations

import base64
import http.client
import netrc
import os
import xmlrpc.client
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from migrations_app.dataplane import runner
from migrations_app.dataplane.plain_http import where
from migrations_app.errors import PermanentError, StepError, TransientError

# supervisor.xmlrpc.Faults; supervisor itself is no dependency of the portal.
SHUTDOWN_STATE = 6
BAD_NAME = 10
NO_FILE = 20
NOT_EXECUTABLE = 21
ALREADY_STARTED = 60
SUCCESS = 80
ALREADY_ADDED = 90
CANT_REREAD = 92

_TIMEOUT_SECONDS = 10.0


class RpcFault(PermanentError):
    """supervisord said no. `fault` is its number; its text is left out, since it may quote a definition."""

    code = "runtime_fault"

    def __init__(self, url: str, method: str, fault: int) -> None:
        super().__init__(
            f"The supervisord at {where(url)} answered {method} with fault {fault}.", hint="Its own log tells more."
        )
        self.fault = fault


def call(url: str, method: str, *args: Any, accept: tuple[int, ...] = ()) -> Any:
    """Call `supervisor.<method>`; a fault in `accept` is answered with None.

    Errors: RpcFault for a fault; TransientError when supervisord cannot be reached
    or is shutting down; PermanentError when it refuses the login or cannot read its configuration; LeaseLost.
    """
    runner.check()
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise PermanentError(
            "A runtime URL is http(s)://host:port/RPC2 without a login.",
            hint="The login belongs into the netrc file.",
            code="runtime_bad_url",
        )
    kind = _TimedSafeTransport if parts.scheme == "https" else _TimedTransport
    proxy = xmlrpc.client.ServerProxy(url, transport=kind(headers=_login(parts.hostname)), allow_none=True)
    try:
        with proxy:
            return getattr(proxy.supervisor, method)(*args)
    except xmlrpc.client.Fault as fault:
        code = fault.faultCode
    except xmlrpc.client.ProtocolError as error:
        raise _protocol_error(url, error.errcode) from None
    except (OSError, http.client.HTTPException, ExpatError, xmlrpc.client.ResponseError) as error:
        raise TransientError(
            f"The supervisord at {where(url)} does not answer: {error}.", code="runtime_unreachable"
        ) from error
    if code in accept:
        return None
    if code == SHUTDOWN_STATE:
        raise TransientError(f"The supervisord at {where(url)} is shutting down.", code="runtime_unreachable")
    if code == CANT_REREAD:
        raise PermanentError(
            f"The supervisord at {where(url)} cannot read its configuration.",
            hint="One of its program definitions is broken; its own log names which.",
            code="runtime_config_broken",
        )
    raise RpcFault(url, method, code)


def _protocol_error(url: str, status: int) -> StepError:
    if status == http.client.UNAUTHORIZED:
        return PermanentError(
            f"The supervisord at {where(url)} refused the login.",
            hint=f"Check the entry for machine {urlsplit(url).hostname} in the netrc file (NETRC) on the workers.",
            code="runtime_refused",
        )
    kind = TransientError if status >= 500 else PermanentError
    return kind(f"The supervisord at {where(url)} answered with HTTP status {status}.", code="runtime_refused")


def _login(machine: str) -> list[tuple[str, str]]:
    path = os.environ.get("NETRC") or str(Path.home() / ".netrc")
    try:
        found = netrc.netrc(path).authenticators(machine)
    except FileNotFoundError:
        return []
    except (netrc.NetrcParseError, PermissionError):
        # The parser's message may quote a password.
        raise PermanentError(
            f"The netrc file {path} cannot be read.", hint="Check its form and its rights.", code="netrc_unreadable"
        ) from None
    if found is None:
        return []
    token = base64.b64encode(f"{found[0]}:{found[2]}".encode()).decode()
    return [("Authorization", f"Basic {token}")]


class _TimedTransport(xmlrpc.client.Transport):
    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = _TIMEOUT_SECONDS
        return connection


class _TimedSafeTransport(xmlrpc.client.SafeTransport):
    def make_connection(self, host: Any) -> http.client.HTTPSConnection:
        connection = super().make_connection(host)
        connection.timeout = _TIMEOUT_SECONDS
        return connection

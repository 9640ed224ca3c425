"""How one sees that a server serves. Each check asks once, within two seconds, and raises NotReady with the answer."""

from __future__ import annotations

import http.client
import xmlrpc.client
from typing import Any

import psycopg
import redis

from portal.sandbox.files import SUPERVISOR_LOGIN

_SECONDS = 2


class NotReady(Exception):
    """Not serving yet; the text says what it answered."""


class _Transport(xmlrpc.client.Transport):
    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = self.seconds
        return connection


def supervisor_rpc(address: str, password: str, *, seconds: float = _SECONDS) -> Any:
    """The `supervisor` namespace of a supervisord's XML-RPC; each call takes at most `seconds`."""
    url = f"http://{SUPERVISOR_LOGIN}:{password}@{address}/RPC2"
    return xmlrpc.client.ServerProxy(url, transport=_Transport(seconds)).supervisor


def supervisor_answers(address: str, password: str) -> None:
    try:
        state = supervisor_rpc(address, password).getState()["statename"]
    except (OSError, http.client.HTTPException, xmlrpc.client.Error) as error:
        raise NotReady(str(error)) from error
    if state != "RUNNING":
        raise NotReady(f"it is in state {state}")


def postgres_answers(host: str, port: int, user: str, password: str) -> None:
    try:
        psycopg.connect(
            host=host,
            port=port,
            user=user,
            password=password,
            dbname="postgres",
            connect_timeout=_SECONDS,
            sslmode="disable",
            gssencmode="disable",
            options="",
        ).close()
    except psycopg.OperationalError as error:
        raise NotReady(str(error).strip()) from error


def redis_answers(host: str, port: int, password: str) -> None:
    try:
        with redis.Redis(host=host, port=port, password=password, socket_timeout=_SECONDS) as client:
            client.ping()
    except redis.RedisError as error:
        raise NotReady(str(error)) from error


def http_answers(address: str, path: str, *, below: int = 500) -> None:
    """Any answer with a status under `below` counts: a server that asks for a login serves."""
    connection = http.client.HTTPConnection(address, timeout=_SECONDS)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(str(error)) from error
    finally:
        connection.close()
    if status >= below:
        raise NotReady(f"it answers {path} with status {status}")

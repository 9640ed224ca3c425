"""A small guest book of its own in one region of the sandbox, for the tests that need a real app."""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from migrations_app.dataplane import runtime
from portal.sandbox import lifecycle
from portal.sandbox.layout import find_layout
from portal.sandbox.sample_app.deploy import Target, deploy, undeploy
from portal.sandbox.state import REGIONS
from tests.waiting import wait_until

ROWS = 300
PICTURES = 6

_WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@dataclass(frozen=True)
class GuestBook:
    target: Target
    name: str
    url: str
    port: int
    secrets: Path

    @property
    def database(self) -> str:
        """An administrator's connection string to the app's own database."""
        return psycopg.conninfo.make_conninfo(self.target.database, dbname=self.name)

    @property
    def bucket(self) -> str:
        return f"{self.target.blobs}{self.name}"

    @property
    def host(self) -> runtime.Host:
        return runtime.Host(self.target.runtime, str(self.target.programs))

    @contextmanager
    def admin(self) -> Iterator[psycopg.Connection[Any]]:
        with psycopg.connect(
            self.database, autocommit=True, options="-c default_transaction_read_only=off"
        ) as connection:
            yield connection

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with self.admin() as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def end_sessions(self, condition: str = "true") -> int:
        """End the app's sessions that meet `condition`. Returns how many."""
        return len(
            self.sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                f" WHERE datname = current_database() AND application_name = 'guestbook' AND {condition}"
            )
        )

    @contextmanager
    def blocked(self, requests: Callable[[], Any]) -> Iterator[list[Any]]:
        """While the body runs, `requests` is in flight, waiting in the database; its result is in the list after."""
        results: list[Any] = []
        thread = threading.Thread(target=lambda: results.append(requests()))
        with self.admin() as connection, connection.transaction():
            connection.execute("LOCK authors, entries IN ACCESS EXCLUSIVE MODE")
            thread.start()
            wait_until(lambda: self.sql(_WAITING))
            yield results
        thread.join(30)


def free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def region() -> Target:
    """The sandbox's first region."""
    found = next(region for region in lifecycle.status().regions if region["slug"] == REGIONS[0].slug)
    return Target(**found, programs=find_layout().programs(found["slug"]), host=REGIONS[0].host)


@contextmanager
def deployed(secrets: Path) -> Iterator[GuestBook]:
    """A guest book with a name nobody else uses; removed afterwards."""
    target = region()
    name, port = f"gb{uuid.uuid4().hex[:10]}", free_port(target.host)
    try:
        deployment = deploy(target, port=port, secrets=secrets, name=name, rows=ROWS, pictures=PICTURES)
        yield GuestBook(target, name, deployment.url, port, secrets)
    finally:
        undeploy(target, name=name)

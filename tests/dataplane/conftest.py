"""The sandbox's regions and edge, as the drivers see them, and small upstreams to route to."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from migrations_app.dataplane import blobs
from migrations_app.dataplane.runtime import Host
from portal.sandbox import lifecycle
from portal.sandbox.layout import find_layout


@dataclass(frozen=True)
class Place:
    """One region of the sandbox."""

    slug: str
    remote: str
    host: Host

    @property
    def programs(self) -> Path:
        return Path(self.host.path)


@dataclass
class Upstream:
    """A real HTTP server that answers with its name and keeps what it was asked: (method, path, body)."""

    name: str
    address: str
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)


@pytest.fixture(scope="session")
def places() -> dict[str, Place]:
    at = find_layout()
    return {
        region["slug"]: Place(
            region["slug"], region["blobs"], Host(region["runtime"], str(at.programs(region["slug"])))
        )
        for region in lifecycle.status().regions
    }


@pytest.fixture
def us(places: dict[str, Place]) -> Place:
    return places["us-east-1"]


@pytest.fixture
def eu(places: dict[str, Place]) -> Place:
    return places["eu-west-1"]


@pytest.fixture
def ap(places: dict[str, Place]) -> Place:
    return places["ap-south-1"]


@pytest.fixture
def admin_url() -> str:
    return os.environ["EDGE_ADMIN_URLS"].split(",")[0]


@pytest.fixture
def edge_url() -> str:
    return os.environ["EDGE_URL"]


@pytest.fixture
def slug() -> str:
    """A name nobody else uses."""
    return f"t-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def bucket() -> Iterator[Callable[..., str]]:
    """Names a bucket of a region; creates it unless told not to; purges it afterwards."""
    made: list[str] = []

    def name_one(place: Place, *, create: bool = True) -> str:
        path = blobs.join(place.remote, f"test-{uuid.uuid4().hex[:12]}")
        made.append(path)
        if create:
            blobs.make(path)
        return path

    yield name_one
    for path in made:
        blobs.purge(path)


@pytest.fixture
def upstream() -> Iterator[Callable[[str], Upstream]]:
    servers: list[ThreadingHTTPServer] = []

    def serve(name: str) -> Upstream:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                shown.asked.append((self.command, self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", str(len(name)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(name.encode())

            do_GET = do_HEAD = do_OPTIONS = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *args: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        shown = Upstream(name, f"127.0.0.1:{server.server_port}")
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return shown

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()

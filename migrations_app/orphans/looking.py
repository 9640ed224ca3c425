"""Looks at every region, edge and the work folder at once. What does not answer is named, the others are looked at."""

from __future__ import annotations

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from django.conf import settings

from migrations_app.dataplane import blobs, edge, plain_http, runtime
from migrations_app.dataplane.database import inventory
from migrations_app.dataplane.database.inventory import Inventory
from migrations_app.dataplane.edge_route import Route
from migrations_app.dataplane.process_table import with_variable
from migrations_app.dataplane.rclone import PathMissing
from migrations_app.dataplane.runner import MARKER
from migrations_app.errors import StepError
from migrations_app.models import Region
from migrations_app.move import cluster, host
from migrations_app.orphans.books import Books, Field

_AT_ONCE = 8


@dataclass(frozen=True)
class Unreachable:
    """`region`: a region's slug, an edge's host:port or this machine's name; `part`: what of it did not answer."""

    region: str
    part: str
    reason: str


@dataclass
class Sight:
    """What was seen: by region, by the edge's admin URL with its routes by slug, and what is on this machine."""

    clusters: dict[Region, Inventory] = field(default_factory=dict)
    buckets: dict[Region, set[str]] = field(default_factory=dict)
    programs: dict[Region, set[str]] = field(default_factory=dict)
    routes: dict[str, dict[str, Route | None]] = field(default_factory=dict)
    folders: set[Path] = field(default_factory=set)
    processes: dict[int, str] = field(default_factory=dict)
    """The mark of the runner that has started it, by process id."""
    unreachable: list[Unreachable] = field(default_factory=list)


def machine() -> str:
    """The name of this one: the work folder is seen from here only."""
    return socket.gethostname()


def look(books: Books) -> Sight:
    """Look everywhere that something of the books' moves could be. The threads use no connection of Django's."""
    sight = Sight()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        asked = [(where, part, pool.submit(work)) for where, part, work in _errands(books, sight)]
    for where, part, done in asked:
        try:
            done.result()
        except (StepError, OSError) as error:
            sight.unreachable.append(Unreachable(where, part, str(error)))
    for region, found in sight.clusters.items():
        sight.unreachable += [
            Unreachable(region.slug, f"database {name}", reason) for name, reason in found.unread.items()
        ]
    return sight


Errand = tuple[str, str, Callable[[], Any]]


def _errands(books: Books, sight: Sight) -> list[Errand]:
    """A store or a runtime is asked only where a move may have left something."""
    errands: list[Errand] = []

    def add(where: str, part: str, into: dict[Any, Any], key: Any, ask: Callable[..., Any], *asked: Any) -> None:
        errands.append((where, part, lambda: into.__setitem__(key, ask(*asked))))

    of_apps = {app.database for app in books.apps}
    for region in books.regions:
        at, made = cluster(region, ""), books.roles_made(region)
        add(region.slug, "cluster", sight.clusters, region, inventory.take, at, of_apps, made)
        if region.blobs and _may_be_left(books, region, "blobs"):
            add(region.slug, "blobs", sight.buckets, region, _folders, region.blobs)
        if region.runtime_path and _may_be_left(books, region, "program"):
            add(region.slug, "runtime", sight.programs, region, runtime.known, host(region))
    for url in settings.EDGE_ADMIN_URLS:
        add(plain_http.where(url), "edge", sight.routes, url, edge.own_routes, url)
    errands.append((machine(), "work folder", lambda: sight.folders.update(_work_folders())))
    errands.append((machine(), "processes", lambda: sight.processes.update(with_variable(MARKER))))
    return errands


def _may_be_left(books: Books, region: Region, field: Field) -> bool:
    return any(getattr(app, field) and books.left_by(app, region, field) for app in books.apps)


def _folders(path: str) -> set[str]:
    try:
        return {name for name, is_folder in blobs.entries(path).items() if is_folder}
    except PathMissing:  # a prefix of a bucket is only there while something is in it
        return set()


def _work_folders() -> list[Path]:
    """Those named by a move's id; others may be somebody else's."""
    root: Path = settings.MOVES_WORK_DIR
    return [path for path in root.iterdir() if _is_id(path.name)] if root.exists() else []


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False

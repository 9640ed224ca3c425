"""Which of the things that were seen are left over. Pure: books and sight in, orphans out, a function for each kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.conf import settings

from migrations_app.dataplane import plain_http
from migrations_app.dataplane.database.inventory import Access, StreamPart
from migrations_app.dataplane.database.proof import SENTINEL_SCHEMA
from migrations_app.dataplane.database.touched import stream_of
from migrations_app.dataplane.edge_route import Route
from migrations_app.models import App, AppMigration, Region
from migrations_app.orphans import remedies
from migrations_app.orphans.books import Books, Field
from migrations_app.orphans.looking import Sight, machine
from migrations_app.states import ACTIVE


@dataclass(frozen=True)
class Orphan:
    """`region`: a region's slug, an edge's host:port or this machine's name. `app`: a slug, or "" when no move on the
    books has made it."""

    kind: str
    region: str
    name: str
    why: str
    remedy: str
    app: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.kind, self.region, self.name


def orphans(books: Books, sight: Sight) -> Iterator[Orphan]:
    for region, inventory in sight.clusters.items():
        yield from _stream_parts(books, region, inventory.parts)
        yield from _schemas(books, region, inventory.sentinels)
        yield from _fences(books, region, inventory.databases)
        yield from _roles(books, region, inventory.idle_roles)
        yield from _things(books, region, "database", {name: at.made_at for name, at in inventory.databases.items()})
    for region, names in sight.buckets.items():
        yield from _things(books, region, "blobs", dict.fromkeys(names))
    for region, names in sight.programs.items():
        yield from _things(books, region, "program", dict.fromkeys(names))
    for url, routes in sight.routes.items():
        yield from _routes(books, url, routes)
    yield from _folders(books, {path.name for path in sight.folders})
    yield from _processes(books, sight.processes)


def _stream_parts(books: Books, region: Region, parts: list[StreamPart]) -> Iterator[Orphan]:
    """The stream of an open replica: the subscription where the replica is, all the rest where the app lives."""
    for part in parts:
        move = books.named.get(stream_of(part.name))
        if move and move.status in ACTIVE:
            continue
        replica = books.open_replica(move.app) if move else None
        if move is None:
            why = "No move on the books goes by this name."
        elif part.name != move.name_in_regions:
            why = f"A comparison of move {move.pk} of {move.app} has made it, and did not drop it unless it runs now."
        elif replica is None or replica.migration_id != move.pk:
            why = f"Move {move.pk} of {move.app} is {move.status} and keeps no replica."
        elif region == (replica.region if part.kind == "subscription" else move.dest_region):
            continue
        else:
            why = f"The replica of move {move.pk} of {move.app} has its {part.kind} in another region."
        within = f" It is in the database {part.dbname}." if part.dbname else ""
        yield _orphan(part.kind, region, part.name, why + within, remedies.stream_part(region, part), move)


def _schemas(books: Books, region: Region, sentinels: set[str]) -> Iterator[Orphan]:
    """A replica whose stream lagged keeps the sentinel's table, where the app does not live."""
    for app in books.apps:
        if app.region == region and app.database in sentinels and not books.active(app):
            why = (
                f"No move of {app} is under way, and its database {app.database} has the schema that moves prove with."
            )
            remedy = remedies.schema(region, app.database)
            yield Orphan("schema", region.slug, SENTINEL_SCHEMA, why, remedy, app.slug)


def _fences(books: Books, region: Region, databases: Mapping[str, Access]) -> Iterator[Orphan]:
    """Where an app lives, but for settings that it had before its last move."""
    for app in books.apps:
        access, move = databases.get(app.database), books.fenced_by(app)
        if app.region != region or access is None or move is None or books.active(app):
            continue
        before = move.fact("source")
        is_read_only = [None, "on"] in access.flags and [None, "on"] not in before["flag"]
        is_shut = access.is_shut and bool(before.get("connect"))
        if not (is_read_only or is_shut):
            continue
        found = ["new sessions are read-only"] * is_read_only + ["only superusers may connect"] * is_shut
        yield Orphan(
            "fence",
            region.slug,
            app.database,
            f"No move of {app} is under way, and where it lives {' and '.join(found)}, which was not so before move "
            f"{move.pk}.",
            remedies.fence(
                region,
                app.database,
                flags=access.flags if is_read_only else [],
                flags_before=before["flag"],
                connect=before["connect"] if is_shut else [],
            ),
            app.slug,
        )


def _things(books: Books, region: Region, field: Field, there: Mapping[str, datetime | None]) -> Iterator[Orphan]:
    """The app's own, where it does not belong. What no move of it made or left there is not the app's, nor is what came
    after that had ended; `there` tells when it came, if that is known."""
    kind = "bucket" if field == "blobs" else field
    for app in books.apps:
        name: str = getattr(app, field)
        move = books.left_by(app, region, field)
        if name not in there or move is None or books.is_used(region, field, name):
            continue
        made_at, end = there[name], books.end(move, region)
        if made_at and end and made_at > end:
            continue
        why = f"{app} does not live in {region}, has no replica there, and no move of it is under way there."
        yield _orphan(kind, region, name, why, remedies.THING[field](region, name), move)


def _roles(books: Books, region: Region, idle: set[str]) -> Iterator[Orphan]:
    """What a move made there for an app that is not there any more; what has been put to use since is not idle."""
    seen: set[str] = set()
    for move in books.moves:
        if move.dest_region != region or books.needs(move.app, region):
            continue
        for name in set(move.fact("roles_made", [])) & idle - seen:
            seen.add(name)
            why = f"Move {move.pk} of {move.app} made it, and the app is not in {region}."
            yield _orphan("role", region, name, why, remedies.role(region, name), move)


def _routes(books: Books, url: str, routes: Mapping[str, Route | None]) -> Iterator[Orphan]:
    apps: dict[str, App] = {app.slug: app for app in books.apps}
    for slug, route in routes.items():
        app = apps.get(slug)
        if app is None:
            why, remedy = f"No app on the books is called {slug}.", remedies.remove_route(url, slug)
        elif books.active(app) or not (faults := _faults(app, route)):
            continue
        else:
            why = f"No move of {app} is under way, and its route {' and '.join(faults)}."
            remedy = remedies.set_route(url, app) if app.is_routed else remedies.remove_route(url, slug)
        yield Orphan("route", plain_http.where(url), f"app-{slug}", why, remedy, slug if app else "")


def _faults(app: App, route: Route | None) -> list[str]:
    if not app.is_routed:
        return ["is there, though the app has no host name or no port"]
    if route is None:
        return ["was changed by hand beyond reading"]
    faults = []
    if route.upstream != app.upstream_in(app.region):
        faults.append(f"leads to {route.upstream}, not to {app.region}, where it lives")
    if route.hostname != app.hostname:
        faults.append(f"serves {route.hostname}, which is not its host name")
    if route.fenced:
        faults.append("refuses writes")
    return faults


def _folders(books: Books, names: set[str]) -> Iterator[Orphan]:
    moves: dict[Any, AppMigration] = {move.pk: move for move in books.moves}
    for name in sorted(names):
        move = moves.get(UUID(name))
        if move and books.keeps_dump(move):
            continue
        why = "No move on the books has this id."
        if move:
            why = f"Move {move.pk} of {move.app} is {move.status}, and no replica is kept that its dump would be for."
        remedy = remedies.folder(settings.MOVES_WORK_DIR / name)
        yield Orphan("file", machine(), name, why, remedy, move.app.slug if move else "")


def _processes(books: Books, marks: Mapping[int, str]) -> Iterator[Orphan]:
    """Started by a runner whose move is over. What no move on the books has started may be another portal's."""
    moves = {str(move.pk): move for move in books.moves}
    for pid, mark in sorted(marks.items()):
        move = moves.get(mark.rpartition(":")[0])
        if move is None or move.status in ACTIVE or books.is_being_torn_down(move):
            continue
        why = f"Move {move.pk} of {move.app} has started it, and is {move.status}."
        yield Orphan("process", machine(), str(pid), why, remedies.process(pid), move.app.slug)


def _orphan(kind: str, region: Region, name: str, why: str, remedy: str, move: AppMigration | None) -> Orphan:
    return Orphan(kind, region.slug, name, why, remedy, move.app.slug if move else "")

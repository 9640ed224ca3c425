"""The app's other parts: its blobs, its process, its route."""

from __future__ import annotations

from collections.abc import Iterator

from django.conf import settings

from migrations_app.dataplane import blobs, edge, plain_http, runtime
from migrations_app.dataplane.rclone import PathMissing
from migrations_app.preflight.finding import Finding, counted, failed, passed, warned
from migrations_app.preflight.sight import Sight
from migrations_app.units import size

_COUNT_SECONDS = 5.0
_HEALTH_SECONDS = 5.0


def source_blobs(sight: Sight) -> Iterator[Finding]:
    if not sight.bucket:
        return
    if not sight.source_bucket:
        yield failed(f"{sight.source} has no blob store.", "Name one in the region's entry.")
        return
    try:
        found = blobs.totals_within(sight.source_bucket, seconds=_COUNT_SECONDS)
    except PathMissing:
        yield failed(f"{sight.source} has no bucket {sight.bucket}.", "Correct the app's entry.")
        return
    if isinstance(found, int):
        yield passed(f"More than {counted(found, 'blob')}: counting was ended after {_COUNT_SECONDS:.0f} s.")
    else:
        yield passed(
            f"{counted(found.count, 'blob')}, {size(found.bytes)}.",
            figures={"blobs": found.count, "blob_bytes": found.bytes},
        )


def dest_blobs(sight: Sight) -> Iterator[Finding]:
    """Whether it can be written to would take a write."""
    if not sight.bucket:
        return
    if not sight.dest_bucket:
        yield failed(f"{sight.dest} has no blob store.", "Name one in the region's entry.")
        return
    there = blobs.exists(sight.dest_bucket)
    if there and not sight.is_reverse and sight.made["bucket_made"] is None:
        found = blobs.totals_within(sight.dest_bucket, seconds=_COUNT_SECONDS)
        if isinstance(found, int) or found.count:
            yield failed(
                f"{sight.dest} already has a bucket {sight.bucket}, and it is not empty.", "Empty or remove it first."
            )
            return
    yield passed(
        f"The store of {sight.dest} answers a listing; {sight.bucket} is {'there' if there else 'not there yet'}.",
        why="Whether the portal's key may write shows when reserving_dest makes the bucket, before writes are blocked.",
    )


def source_runtime(sight: Sight) -> Iterator[Finding]:
    if not sight.program:
        return
    if not sight.source_host:
        yield failed(f"{sight.source} has no runtime host.", "Name one in the region's entry.")
    elif not runtime.exists(sight.source_host, sight.program):
        yield failed(f"{sight.source} has no program {sight.program}.", "Correct the app's entry.")
    else:
        yield passed(f"{sight.source} has the program {sight.program}.")


def dest_runtime(sight: Sight) -> Iterator[Finding]:
    if not sight.program:
        return
    if not sight.dest_host:
        yield failed(f"{sight.dest} has no runtime host.", "Name one in the region's entry.")
        return
    runtime.is_running(sight.dest_host, sight.program)
    ours = sight.is_reverse or sight.made["program_reserved"]
    if not ours and runtime.exists(sight.dest_host, sight.program):
        yield failed(f"{sight.dest} already has a program {sight.program}.", "Remove it there first.")
    else:
        yield passed(f"The runtime host of {sight.dest} answers.")


def health(sight: Sight) -> Iterator[Finding]:
    if not sight.health_url:
        return
    try:
        status = plain_http.request("GET", sight.health_url, timeout_seconds=_HEALTH_SECONDS).status
        said = "" if status == 200 else f"status {status}"
    except plain_http.NoAnswer as error:
        said = str(error)
    if said:
        yield warned(
            f"The app is not healthy in {sight.source}: {sight.health_url} says: {said}.",
            "Look at the app first. If only its edges and workers reach that address, there is nothing to do.",
            "At the destination the same check has to turn green before any traffic goes there.",
            about=sight.health_url,
        )
    else:
        yield passed(f"{sight.health_url} is green.")


def edges(sight: Sight) -> Iterator[Finding]:
    if not sight.hostname:
        return
    if not settings.EDGE_ADMIN_URLS:
        yield failed("No edge is configured, and the app has a host name.", "Set EDGE_ADMIN_URLS.")
    for url in settings.EDGE_ADMIN_URLS:
        edge.read(url, sight.app)
    if settings.EDGE_ADMIN_URLS:
        yield passed(f"Answered: {', '.join(map(plain_http.where, settings.EDGE_ADMIN_URLS))}.")


def edge_routes(sight: Sight) -> Iterator[Finding]:
    if not sight.hostname:
        return
    astray = 0
    for url in settings.EDGE_ADMIN_URLS:
        found = edge.find_upstream(url, sight.hostname)
        upstream = found[1] if found else None
        if upstream != sight.upstream:
            astray += 1
            sent = f"sends {sight.hostname} to {upstream}" if upstream else f"does not serve {sight.hostname}"
            yield warned(
                f"The edge {plain_http.where(url)} {sent}, not to {sight.upstream} in {sight.source}.",
                "Correct the edge's route or the app's entry.",
                "The move routes the host name itself, from where the app's entry says that it is served.",
            )
    if not astray:
        yield passed(f"Every edge sends {sight.hostname} to {sight.upstream}.")

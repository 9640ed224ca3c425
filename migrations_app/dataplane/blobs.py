"""Blobs and files in a region, wherever rclone can reach: S3, GCS, Azure, Swift, SFTP, a local folder.

A path is `remote:bucket`, `remote:bucket/folder` or `/local/folder`. On stores without folders (S3 and its kin) an
empty `remote:bucket/folder` cannot be told from a missing one: it exists as soon as its bucket does.

Every function raises rclone.PathMissing, PermanentError or TransientError as rclone.run does; a listing that failed
is never an empty one.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from migrations_app.dataplane import rclone
from migrations_app.dataplane.process import Check, no_check
from migrations_app.errors import PermanentError, TransientError

OnProgress = Callable[[int, int, int, int], None]
"""(bytes done, bytes total, files done, files total), about once a second, in the caller's thread.

The totals grow while rclone is still listing.
"""

# Symbolic links, modes, content types and empty folders belong to what is copied.
_FAITHFUL = ("--links", "--metadata", "--create-empty-src-dirs")
# Work on many blobs: one that fails is tried again, so that it does not fail the whole pass.
_MANY = ("--transfers=8", "--checkers=16", "--low-level-retries=3")
# S3 is not asked again for each blob that it has just taken: it refuses one that does not match its MD5, and
# differences() looks at all of them at once.
_ONCE = ("--s3-no-head",)


@dataclass(frozen=True)
class BlobTotals:
    """How many blobs, and their size in bytes."""

    count: int
    bytes: int


@dataclass(frozen=True)
class BlobDifference:
    """One blob that keeps two sides from being equal; `missing` and `extra` are seen from the destination."""

    path: str
    kind: Literal["missing", "extra", "different"]


def join(region_remote: str, name: str) -> str:
    """The path of `name` in a region: `us:` → `us:name`, `us:prefix` → `us:prefix/name`, `/srv` → `/srv/name`."""
    if name in ("", ".", "..") or "/" in name:
        raise PermanentError(f"{name!r} cannot name a bucket or folder.", code="blob_path_refused")
    return region_remote + name if region_remote.endswith((":", "/")) else f"{region_remote}/{name}"


def exists(path: str) -> bool:
    """Whether `path` is there: a bucket, a folder or a file."""
    try:
        rclone.run(["lsjson", "--stat"], path)
    except rclone.PathMissing:
        return False
    return True


def is_file(path: str) -> bool:
    """Whether `path` is one object. False for a bucket, a folder, and for nothing at all."""
    # On S3 a missing key is an empty folder to rclone, so only --files-only gives a definite answer.
    return json.loads(rclone.run(["lsjson", "--stat", "--files-only"], path).stdout) is not None


def make(path: str) -> None:
    """Create the bucket or folder. Idempotent."""
    rclone.run(["mkdir"], path)


def totals(path: str, *, check: Check = no_check) -> BlobTotals:
    """Count and add up everything below `path`."""
    run = rclone.run(["size", "--json", "--links"], path, check=check, deadline_seconds=rclone.LONG_SECONDS)
    size = json.loads(run.stdout)
    return BlobTotals(size["count"], size["bytes"])


def totals_within(path: str, *, seconds: float) -> BlobTotals | int:
    """Like totals(); where that takes longer, how many blobs and folders were seen by then."""
    seen = 0

    def on_record(record: dict[str, Any]) -> None:
        nonlocal seen
        seen = record.get("stats", {}).get("listed", seen)

    args = ["size", "--json", "--links", "--stats=200ms", "--stats-log-level=NOTICE"]
    try:
        size = json.loads(rclone.run(args, path, deadline_seconds=seconds, on_record=on_record).stdout)
    except TransientError as error:
        if error.code != "deadline":
            raise
        return seen
    return BlobTotals(size["count"], size["bytes"])


def sync(source: str, dest: str, *, check: Check = no_check, on_progress: OnProgress | None = None) -> BlobTotals:
    """Make `dest` equal to `source`: copy what is new or different, delete what is extra. Returns what was copied.

    Blobs are compared by size and checksum. What is equal already is skipped, so a pass that was interrupted resumes.
    """
    copied, all_hashed = _sync_pass(source, dest, ("--checksum",), check, on_progress)
    if all_hashed:
        return copied
    # Without a checksum (a multipart upload by another tool, an encrypted remote) rclone took equal sizes for equal
    # blobs. Now times decide, and where they differ too, the blob is copied.
    again, _ = _sync_pass(source, dest, ("--no-update-modtime",), check, on_progress)
    return BlobTotals(copied.count + again.count, copied.bytes + again.bytes)


def copy_tree(source: str, dest: str, *, check: Check = no_check) -> None:
    """Make the folder `dest` equal to the folder `source`, links, modes and empty folders included where possible."""
    sync(source, dest, check=check)


def differences(source: str, dest: str, *, check: Check = no_check) -> list[BlobDifference]:
    """What keeps `dest` from equalling `source`, by names, sizes and checksums; empty when they are equal.

    Where blobs have no checksum in common, both sides are read and compared byte by byte.
    """
    found, all_hashed = _check_pass(source, dest, (), check)
    if found or all_hashed:
        return found
    return _check_pass(source, dest, ("--download",), check)[0]


def purge(path: str, *, check: Check = no_check) -> None:
    """Delete everything at `path`, the bucket or folder itself too. Idempotent."""
    if path.endswith((":", "/")):
        raise PermanentError(f"{path} is a whole remote; it is never purged.", code="blob_path_refused")
    if not exists(path):
        return
    try:
        rclone.run(["purge", *_MANY], path, check=check, deadline_seconds=rclone.LONG_SECONDS)
    except rclone.PathMissing:
        return


def delete_file(path: str) -> None:
    """Delete one object. Idempotent."""
    try:
        rclone.run(["deletefile"], path)
    except rclone.PathMissing:
        return


def read_text(path: str) -> str:
    """The UTF-8 text of one object."""
    if not is_file(path):
        raise rclone.PathMissing(f"{path} does not exist.")
    try:
        return rclone.run(["cat"], path).stdout.decode()
    except UnicodeDecodeError:
        raise PermanentError(f"{path} is not UTF-8 text.", code="blob_not_text") from None


def write_text(path: str, text: str) -> None:
    """Create or replace one object."""
    rclone.run(["rcat"], path, stdin=text.encode())


def _sync_pass(
    source: str, dest: str, how: tuple[str, ...], check: Check, on_progress: OnProgress | None
) -> tuple[BlobTotals, bool]:
    """One run of `rclone sync`: what it copied, and whether it could compare by checksum wherever it had to."""
    all_hashed = True
    stats: dict[str, Any] = {}
    reported: dict[str, Any] = {}

    def on_record(record: dict[str, Any]) -> None:
        nonlocal all_hashed, stats
        stats = record.get("stats", stats)
        if "falling back to --size-only" in record.get("msg", ""):
            all_hashed = False

    def report() -> None:
        nonlocal reported
        if on_progress and stats and stats is not reported:
            reported = now = stats
            on_progress(now["bytes"], now["totalBytes"], now["transfers"], now["totalTransfers"])

    def check_and_report() -> None:
        check()
        report()

    rclone.run(
        ["sync", *how, *_FAITHFUL, *_MANY, *_ONCE, "--stats=1s", "--stats-log-level=NOTICE"],
        source,
        dest,
        check=check_and_report,
        deadline_seconds=rclone.LONG_SECONDS,
        on_record=on_record,
    )
    report()
    return BlobTotals(stats.get("transfers", 0), stats.get("bytes", 0)), all_hashed


def _check_pass(source: str, dest: str, how: tuple[str, ...], check: Check) -> tuple[list[BlobDifference], bool]:
    """One run of `rclone check`: the differences, and whether every blob had a checksum to compare."""
    all_hashed = True
    unread = ""

    def on_record(record: dict[str, Any]) -> None:
        nonlocal all_hashed, unread
        message = record.get("msg", "")
        if "hashes could not be checked" in message or "No common hash found" in message:
            all_hashed = False
        if message.startswith("error reading"):
            unread = message

    with tempfile.TemporaryDirectory() as folder:
        # Reports of the differences only: --combined would name every equal blob as well.
        reports = [
            f"--differ={folder}/different",
            f"--missing-on-dst={folder}/missing",
            f"--missing-on-src={folder}/extra",
            f"--error={folder}/error",
        ]
        run = rclone.run(
            ["check", *how, "--links", *_MANY, *reports],
            source,
            dest,
            check=check,
            deadline_seconds=rclone.LONG_SECONDS,
            on_record=on_record,
            good_exits=(0, 1),
        )
        kinds: tuple[Literal["missing", "extra", "different"], ...] = ("missing", "extra", "different")
        found = [BlobDifference(path, kind) for kind in kinds for path in _lines(Path(folder, kind))]
        unreadable = _lines(Path(folder, "error"))
    if run.returncode and not found and not unreadable:
        raise rclone.failure(run, source, dest)
    if unread or unreadable:
        raise TransientError(
            f"{source} and {dest} could not be compared: {unread or 'unreadable: ' + unreadable[0]}.",
            code="blobs_not_compared",
        )
    return found, all_hashed


def _lines(path: Path) -> list[str]:
    # Not splitlines(): names may hold characters that it takes for line ends.
    return path.read_text().split("\n")[:-1] if path.exists() else []


def entries(path: str) -> dict[str, bool]:
    """What lies directly at `path`, a folder or a whole remote: each name, and whether it is a bucket or a folder."""
    listed = json.loads(rclone.run(["lsjson", "--no-modtime", "--no-mimetype"], path).stdout)
    return {entry["Name"]: entry["IsDir"] for entry in listed}

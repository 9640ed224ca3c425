"""copying_blobs: make the destination's bucket equal to the source's.

What changes: objects in the destination's bucket. What is equal already is not copied again, so an interrupted copy
    resumes and a reverse copies only what changed since the cutover.
Done when: both sides have the same names, sizes and checksums. In the live plan: a pass found little that was new; that
    both sides have the same is seen in the block.
Undo: delete the copies. In a reverse the replica's blobs stay.
How long: as long as reading and writing what differs takes.
"""

from __future__ import annotations

from migrations_app.dataplane import blobs
from migrations_app.errors import TransientError
from migrations_app.move import Move, bucket

_PASSES = 5
_FEW = 10
"""Blobs: so many are left for the block."""


def skip(move: Move) -> str:
    return "" if move.app.blobs else "The app has no blobs."


def do(move: Move) -> None:
    if move.is_live:
        follow(move)
    else:
        copied = _copy(move)
        _refuse_differences(move)
        move.act(f"Copied {copied.count} blobs; all have the same names, sizes and checksums on both sides.")
    totals = blobs.totals(bucket(move.dest, move.app), check=move.check)
    move.remember(blobs=totals.count, blob_bytes=totals.bytes)
    move.act(f"{move.dest} has {totals.count} blobs, {totals.bytes} bytes.")


def follow(move: Move) -> None:
    """While the app goes on writing both sides are never seen equal: copy until a pass finds little that is new."""
    for _ in range(_PASSES):
        copied = _copy(move)
        move.act(f"Copied {copied.count} blobs, {copied.bytes} bytes, while the app goes on.")
        if copied.count <= _FEW:
            break


def catch_up(move: Move) -> None:
    """Once more, when nothing at the source writes any more: what a request from before the fence has put there, and in
    the live plan what was put there since the last pass."""
    copied = _copy(move)
    if copied.count:  # else that was the comparison
        _refuse_differences(move)
    move.act(f"Copied {copied.count} blobs that came behind the fence; both sides have the same.")


def _copy(move: Move) -> blobs.BlobTotals:
    return blobs.sync(
        bucket(move.source, move.app),
        bucket(move.dest, move.app),
        check=move.check,
        on_progress=lambda done, total, blobs_done, blobs_total: move.progress(
            done, total, "bytes", blobs=(blobs_done, blobs_total)
        ),
    )


def _refuse_differences(move: Move) -> None:
    source, dest = bucket(move.source, move.app), bucket(move.dest, move.app)
    differing = blobs.differences(source, dest, check=move.check)
    if differing:
        raise TransientError(
            f"{len(differing)} blobs differ, the first of them {differing[0].path} ({differing[0].kind}).",
            code="blobs_differ",
        )


def undo(move: Move) -> None:
    if move.is_reverse:
        move.act(f"The blobs in {move.dest} stay with the replica.")
        return
    blobs.purge(bucket(move.dest, move.app), check=move.check)
    if move.fact("bucket_made") is False:
        blobs.make(bucket(move.dest, move.app))
    move.act(f"Deleted the copies in {move.dest}.")

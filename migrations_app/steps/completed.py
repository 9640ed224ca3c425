"""completed: put the replica on the books.

What changes: the stream that kept the destination current until the pivot is taken away, and the sentinel; the executor
    then writes the SourceReplica and the status in one transaction.
Done when: the replica's size is known.
Undo: none; it comes after the pivot.
How long: seconds.
"""

from __future__ import annotations

from migrations_app.dataplane.database import creation, proof
from migrations_app.move import Move
from migrations_app.steps import way_in


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    if move.is_streamed:
        way_in.end(move)
    proof.lift_sentinel(move.dest_db, move.source_db)
    size = creation.size_bytes(move.source_db) + move.fact("blob_bytes", 0)
    move.remember(replica_size_bytes=size)
    move.act(f"{move.source} keeps a live replica of {size} bytes, until the move is reversed or torn down.")


def undo(move: Move) -> None:
    """Comes after the pivot: there is only forward."""

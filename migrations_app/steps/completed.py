"""completed: put the replica on the books.

What changes: the sentinel goes; the executor then writes the SourceReplica and the status in one transaction.
Done when: the replica's size is known.
Undo: none; it comes after the pivot.
How long: seconds.
"""

from __future__ import annotations

from migrations_app.dataplane.database import creation, proof
from migrations_app.move import Move


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    proof.lift_sentinel(move.dest_db, move.source_db)
    size = creation.size_bytes(move.source_db) + move.fact("blob_bytes", 0)
    move.remember(replica_size_bytes=size)
    move.act(f"{move.source} keeps a live replica of {size} bytes, until the move is reversed or torn down.")


def undo(move: Move) -> None:
    """Comes after the pivot: there is only forward."""

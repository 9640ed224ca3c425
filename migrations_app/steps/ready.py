"""What the live plan does right before it blocks writes, so that the block lasts for the last drain only.

Each part can be done again at any time, and leaves less for the block: a new try does all of them once more.
"""

from __future__ import annotations

from migrations_app.dataplane.database import fence, leftovers
from migrations_app.move import Move
from migrations_app.steps import comparing, copying_blobs, way_back, way_in

_WRITER_SECONDS = 0.5
_WRITERS_PATIENCE_SECONDS = 60.0


def make_ready(move: Move) -> None:
    way_in.catch_up(move)
    if move.app.blobs:
        copying_blobs.follow(move)
    leftovers.copy_large_objects(move.source_db, move.dest_db, check=move.check)
    comparing.narrow(move)
    way_back.refuse_writes_beside_the_stream(move)
    way_in.catch_up(move)
    if not fence.await_short_writers(
        move.source_db, longer_than=_WRITER_SECONDS, patience_seconds=_WRITERS_PATIENCE_SECONDS, check=move.check
    ):
        move.act(f"A transaction that writes in {move.source} does not end: the block will wait for it.")

"""setting_up_reverse_replication: keep the old region as a live replica.

What changes: at the source the subscription to what way_back.py made at the destination, and the same replica
    identities. All before writes open, so no row is copied and none missed.
Done when: a row written at the destination has arrived at the source.
Undo: none; it comes after the pivot.
How long: seconds.
"""

from __future__ import annotations

from django.conf import settings

from migrations_app.dataplane.database import identity, proof, replication, tripwire
from migrations_app.move import Move
from migrations_app.steps.reserving_dest import stream_name


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    primary, replica = move.dest_db, move.source_db
    if move.row.reverses:
        replication.unsubscribe(primary, stream_name(move))
        replication.unpublish(replica, stream_name(move), check=move.check)
        move.act(f"Ended the old stream from {move.source} to {move.dest}; nothing was left on it.")
    else:
        tripwire.drop_slot(replica, move.name, check=move.check)
    identity.give_identity(replica, identity.missing_identity(replica))
    proof.make_sentinel(replica)
    replication.subscribe(primary, replica, move.name)
    seconds = proof.prove_stream(primary, replica, deadline_seconds=settings.MOVES_DRAIN_SECONDS, check=move.check)
    move.act(f"A row written in {move.dest} arrived in {move.source} after {seconds:.2f} s: the way back is open.")


def undo(move: Move) -> None:
    """Comes after the pivot: there is only forward."""

"""setting_up_reverse_replication: keep the old region as a live replica.

What changes: at the source the subscription to the publication made at the destination, and the same replica
    identities. All before writes open, so no row is copied and none missed. A stream that kept the destination current
    until now rests, and is taken away once writes are open.
Done when: a row written at the destination has arrived at the source.
Undo: none once it is done. Held before that, a move can be gone back from: the destination has taken no write, so both
    sides are equal. What was made at the source goes, and in a reverse the stream that was ended flows again.
How long: seconds.
"""

from __future__ import annotations

from django.conf import settings

from migrations_app.dataplane.database import identity, proof, replication, tripwire
from migrations_app.move import Move
from migrations_app.steps import way_in


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    primary, replica = move.dest_db, move.source_db
    if move.is_streamed:
        replication.pause(primary, way_in.stream_name(move))
    else:
        tripwire.drop_slot(replica, move.name, check=move.check)
    missing = identity.missing_identity(replica)
    move.remember(identity_given_source=[*move.fact("identity_given_source", []), *missing])
    identity.give_identity(replica, missing, check=move.check)
    proof.make_sentinel(replica)
    replication.subscribe(primary, replica, move.name)
    seconds = _prove(move)
    move.act(f"A row written in {move.dest} arrived in {move.source} after {seconds:.2f} s: the way back is open.")


def undo(move: Move) -> None:
    replication.unsubscribe(move.source_db, move.name)
    if move.is_live:  # its tables are published still: with identities and all, reserving_dest takes that away
        move.act(f"{move.source} subscribes to nothing any more.")
        return
    identity.restore_identity(move.source_db, move.fact("identity_given_source", []), check=move.check)
    if move.row.reverses:
        replication.resume(move.dest_db, way_in.stream_name(move))
        move.act(f"The stream from {move.source} to {move.dest} flows again.")
    else:
        proof.drop_sentinel(move.source_db)
        move.act(f"{move.source} subscribes to nothing any more.")


def _prove(move: Move) -> float:
    return proof.prove_stream(
        move.dest_db, move.source_db, deadline_seconds=settings.MOVES_DRAIN_SECONDS, check=move.check
    )

"""The serving end of the way back, made before the pivot: what fails here is still undone, not held.

At the destination: a replica identity for tables that have none, the sentinel, a publication and its slot. Making the
slot waits for every write transaction of the cluster, other apps' too.
"""

from __future__ import annotations

from migrations_app.dataplane.database import identity, proof, replication
from migrations_app.move import Move


def prepare(move: Move) -> None:
    dest = move.dest_db
    missing = identity.missing_identity(dest)
    # What was before is remembered first, for the teardown to put back; a reverse inherits it.
    before = move.row.reverses.fact("identity", []) if move.row.reverses else []
    move.remember(identity_given=missing, identity=[*before, *missing])
    identity.give_identity(dest, missing)
    if missing:
        names = ", ".join(".".join(entry[:2]) for entry in missing)
        move.act(f"Gave a replica identity to {names} in {move.dest}, until the replica is torn down.")
    proof.make_sentinel(dest)
    replication.publish(dest, move.name)
    move.act(f"Made publication and slot {move.name} in {move.dest}.")


def undo_identity(move: Move) -> None:
    """Put back what prepare() changed in the destination's tables: the comparison wants both sides alike."""
    identity.restore_identity(move.dest_db, move.fact("identity_given", []))

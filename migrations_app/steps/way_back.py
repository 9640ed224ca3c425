"""The serving end of the way back, made before the pivot, in the live plan before the stream: what fails here is still
undone, not held.

At the destination: a replica identity for tables that have none, the sentinel, a publication and its slot. Making the
slot waits for every write transaction of the cluster, other apps' too.
"""

from __future__ import annotations

from migrations_app.dataplane.database import fence, identity, proof, replication, tripwire
from migrations_app.dataplane.database.connection import is_away
from migrations_app.errors import PermanentError, TransientError
from migrations_app.move import Move


def prepare(move: Move) -> None:
    dest = move.dest_db
    missing = identity.missing_identity(dest)
    # What was before is remembered first, for the teardown to put back. A reverse inherits it; in the live plan the
    # tables came here with what they were given at the source.
    before = move.row.reverses.fact("identity", []) if move.row.reverses else []
    if move.is_live:
        before = move.fact("identity_given_source", [])
    move.remember(identity_given=missing, identity=[*before, *missing])
    identity.give_identity(dest, missing, check=move.check)
    if missing:
        names = ", ".join(".".join(entry[:2]) for entry in missing)
        move.act(f"Gave a replica identity to {names} in {move.dest}, until the replica is torn down.")
    proof.make_sentinel(dest)
    replication.publish(dest, move.name)
    replication.make_slot(dest, move.name)
    move.act(f"Made publication and slot {move.name} in {move.dest}.")


def refuse_writes_beside_the_stream(move: Move) -> None:
    """Nobody but the stream may have written at the destination since prepare(); no comparison would see all of that.

    Errors: PermanentError `written_at_destination`.
    """
    reached = proof.position(move.dest_db)
    if written := replication.pending_changes(move.dest_db, move.name, check=move.check):
        raise PermanentError(
            f"Somebody wrote {written} rows in {move.dest}, where only the stream from {move.source} may write.",
            hint=f"Find who sets his sessions read-write by force in {move.dest}, then request the move again.",
            code="written_at_destination",
        )
    tripwire.arm(move.dest_db, move.name, reached)  # so that the next look is short


def ask_before_undoing(move: Move) -> None:
    """refuse_if_written(), but a destination that cannot be reached keeps no writes from coming back: then it is asked
    before anything there is dropped (ask_if_not_asked)."""
    move.remember(dest_is_asked=False)
    try:
        refuse_if_written(move)
    except TransientError as error:
        if not is_away(error):
            raise
        move.act(f"{move.dest} cannot be asked now, and will be before anything there is dropped: {error}")


def ask_if_not_asked(move: Move) -> None:
    if move.fact("dest_is_asked") is False:
        refuse_if_written(move)


def refuse_if_written(move: Move) -> None:
    """Shut the destination and ask whether anybody stepped over its fence: going back would lose that.

    Errors: PermanentError `written_behind_fence`; TransientError when the destination does not answer.
    """
    if move.dest_db.exists():
        fence.shut(move.dest_db, check=move.check)
    written = replication.pending_changes(move.dest_db, move.name, check=move.check)
    if written:
        raise PermanentError(
            f"Somebody wrote {written} rows in {move.dest} behind the fence, which {move.source} does not have.",
            hint=f"Look at them there. Once they are of no use, drop slot {move.name} there and try again.",
            code="written_behind_fence",
        )
    move.remember(dest_is_asked=True)


def undo_identity(move: Move) -> None:
    """Put back what prepare() changed in the destination's tables: the comparison wants both sides alike."""
    identity.restore_identity(move.dest_db, move.fact("identity_given", []), check=move.check)

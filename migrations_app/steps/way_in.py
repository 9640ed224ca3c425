"""The stream that keeps the destination current until the pivot: begun by the live plan, found by a reverse.

In the live plan it bears the move's name. reserving_dest publishes at the source, dumping_data makes the slot with the
dump's snapshot, restoring_data subscribes at the destination. Behind the pivot setting_up_reverse_replication lets it
rest, and completed takes it away. A slot keeps WAL at the source for as long as it is there, so it is watched from the
first moment, and goes first when the move is undone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from django.conf import settings

from migrations_app.dataplane.database import identity, lsn, proof, replication, stream, tripwire
from migrations_app.dataplane.database.stream import MISSING, Applying, Sending, Slot
from migrations_app.dataplane.process import Check
from migrations_app.errors import PermanentError
from migrations_app.move import Move
from migrations_app.units import size

_LOOK_SECONDS = 5.0
_BETWEEN_LOOKS_SECONDS = 0.2
_APPLY_ERRORS = 3
"""So often may applying fail, for a deadlock say, before the stream counts as stopped."""
_NEARER = 0.9
"""Of the smallest lag so far: less than that is progress."""


def stream_name(move: Move) -> str:
    """That of the move; in a reverse, that of the move being reversed."""
    return move.row.reverses.name_in_regions if move.row.reverses else move.name


def watch_name(move: Move) -> str:
    """Of the slot that tells which rows were touched since they were compared."""
    return f"{move.name}_watch"


def publish(move: Move) -> None:
    """Before there is a slot: what it decodes needs publication and replica identities from its first position on."""
    source = move.source_db
    missing = identity.missing_identity(source)
    move.remember(identity_given_source=[*move.fact("identity_given_source", []), *missing])
    identity.give_identity(source, missing, check=move.check)
    if missing:
        names = ", ".join(".".join(entry[:2]) for entry in missing)
        move.act(f"Gave a replica identity to {names} in {move.source}, until the move is over.")
    proof.make_sentinel(source)
    replication.publish(source, move.name)
    replication.probe(source, move.dest_db, move.name)
    move.act(f"Made publication {move.name} in {move.source}; {move.dest} can subscribe to it.")


def unpublish(move: Move) -> None:
    """Take away all that publish() and the later steps made at the source."""
    drop_slots(move)
    replication.unpublish(move.source_db, move.name, check=move.check)
    identity.restore_identity(move.source_db, move.fact("identity_given_source", []), check=move.check)
    proof.drop_sentinel(move.source_db)
    move.act(f"{move.source} streams nothing any more; its replica identities are as they were.")


def drop_slots(move: Move) -> None:
    for name in (move.name, watch_name(move)):
        tripwire.drop_slot(move.source_db, name, check=move.check)


def begin(move: Move) -> None:
    """Subscribe to the slot of the dump; never a second time, for what has come would come again."""
    if not replication.is_subscribed(move.dest_db, move.name):
        replication.subscribe(move.source_db, move.dest_db, move.name)
        move.act(f"{move.dest} subscribes to {move.source}: what was written since the dump streams in.")


def end(move: Move) -> None:
    """Once the destination takes writes; the stream has rested since the last drain behind the hard fence."""
    replication.unsubscribe(move.dest_db, stream_name(move))
    replication.unpublish(move.source_db, stream_name(move), check=move.check)
    drop_slots(move)
    move.act(f"Took the old stream from {move.source} to {move.dest} away.")


def drain(move: Move) -> float:
    """Wait until the destination has applied all that the source has written. Returns the seconds."""
    return proof.drain(
        move.source_db,
        move.dest_db,
        stream_name(move),
        proof.position(move.source_db),
        deadline_seconds=settings.MOVES_DRAIN_SECONDS,
        check=move.check,
    )


def watched(move: Move) -> Check:
    """move.check() for long work while the slot is there; every few seconds it looks at the slot too."""
    looked_at = time.monotonic()

    def check() -> None:
        nonlocal looked_at
        move.check()
        if time.monotonic() - looked_at > _LOOK_SECONDS:
            _refuse_slot_trouble(move, stream.look_at_slot(move.source_db, stream_name(move)))
            looked_at = time.monotonic()

    return check


# -- the lag ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Sample:
    at: float
    position: int
    lag: int


def catch_up(move: Move) -> None:
    """Wait until the stream's lag is under the limit; the block would last as long as the lag.

    Errors: PermanentError `lag_stays` when it comes no nearer to the limit for MOVES_LIVE_CATCH_UP_SECONDS, with how
    much is written and how much is applied; `stream_stopped`, `schema_changed`, `slot_missing`, `wal_piles_up`.
    """
    limit, patience = settings.MOVES_LIVE_LAG_BYTES, settings.MOVES_LIVE_CATCH_UP_SECONDS
    best: _Sample | None = None
    began_at: int | None = None
    while True:
        sending = stream.look_at_primary(move.source_db, stream_name(move))
        applying = stream.look_at_replica(move.dest_db, stream_name(move))
        _refuse_slot_trouble(move, sending)
        _refuse_stopped(move, applying)
        _refuse_drift(move, sending, applying)
        now = _Sample(time.monotonic(), lsn.number(sending.position), sending.lag_bytes)
        if sending.active and now.lag <= limit:
            move.act(f"{move.dest} is {now.lag} bytes behind {move.source}, {limit} are allowed.")
            return
        if best is None or now.lag < best.lag * _NEARER:
            best = now
        if now.at - best.at > patience:
            raise _lag_stays(move, best, now)
        applied = now.position - now.lag
        began_at = applied if began_at is None else began_at
        lag = sending.lag_bytes, sending.lag_seconds
        move.progress(applied - began_at, now.position - began_at, "bytes", lag=lag)
        _wait(move)


def _wait(move: Move) -> None:
    move.check()
    time.sleep(_BETWEEN_LOOKS_SECONDS)


def _lag_stays(move: Move, first: _Sample, last: _Sample) -> PermanentError:
    seconds = last.at - first.at
    written = last.position - first.position
    applied = written - (last.lag - first.lag)
    return PermanentError(
        f"{move.dest} is {size(last.lag)} behind {move.source} and comes no nearer: in {seconds:.0f} s {size(written)} "
        f"were written ({size(round(written / seconds))}/s) and {size(applied)} applied "
        f"({size(round(applied / seconds))}/s). "
        f"{size(settings.MOVES_LIVE_LAG_BYTES)} are allowed.",
        hint="Move the app when it writes less, or with --strategy snapshot.",
        code="lag_stays",
    )


def _refuse_slot_trouble(move: Move, slot: Slot) -> None:
    if slot.wal_status in (MISSING, "lost"):
        raise PermanentError(
            f"Slot {stream_name(move)} is {slot.wal_status} in {move.source}: what it kept for {move.dest} is gone.",
            hint=f"Raise max_slot_wal_keep_size in {move.source}, then request the move again.",
            code="slot_missing",
        )
    if slot.room is None and slot.retained_bytes > settings.MOVES_REPLICA_WAL_BYTES:
        raise PermanentError(
            f"{move.source} keeps {size(slot.retained_bytes)} of WAL for the move; "
            f"{size(settings.MOVES_REPLICA_WAL_BYTES)} are allowed.",
            hint="Move the app when it writes less, or raise MOVES_REPLICA_WAL_BYTES if the disk there has room.",
            code="wal_piles_up",
        )


def _refuse_stopped(move: Move, applying: Applying) -> None:
    if not applying.there or not applying.enabled or applying.errors >= _APPLY_ERRORS:
        what = f"failed {applying.errors} times" if applying.there else "has no subscription any more"
        raise PermanentError(
            f"Applying the stream in {move.dest} {what}.",
            hint=f"The PostgreSQL log in {move.dest} says what stops it. Correct it, then request the move again.",
            code="stream_stopped",
        )


def _refuse_drift(move: Move, sending: Sending, applying: Applying) -> None:
    both = sending.tables.keys() | applying.tables.keys()
    changed = {table for table in both if sending.tables.get(table) != applying.tables.get(table)}
    changed |= set(sending.unpublished)
    if changed:
        names = sorted(changed)
        raise PermanentError(
            f"The schema has changed since the move began: {', '.join(names[:5])}"
            f"{f' and {len(names) - 5} more' if len(names) > 5 else ''}.",
            hint="No stream carries such a change. Request the move again once the schema stands still.",
            code="schema_changed",
        )

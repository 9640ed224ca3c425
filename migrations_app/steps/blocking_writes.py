"""blocking_writes: raise the soft fence. From here on the app is read-only.

What changes: first preflight looks once more at what may have changed since the start. In the live plan all that needs
    no block comes next: the stream catches up, what was written is compared, blobs follow. Then edges answer
    unsafe methods with 503 app_migrating; new sessions in the source's database are read-only, older ones are ended; in
    the snapshot plan a tripwire slot stands at the fence.
Done when: no session is left that can write, and the fence LSN is recorded.
Undo: lift the fence, in the database first, so that a write that an edge lets through succeeds; only then the rest.
How long: the grace for open writers (MOVES_WRITER_GRACE_SECONDS), and then an instant. In the live plan, before the
    block, as long as the stream takes to catch up.
"""

from __future__ import annotations

from django.conf import settings

from migrations_app import preflight
from migrations_app.dataplane.database import fence, proof, tripwire
from migrations_app.errors import TransientError
from migrations_app.move import Move
from migrations_app.steps import ready, routing


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    source = move.source_db
    if not move.row.writes_blocked_at:
        preflight.refuse_what_has_changed(move)
        if move.is_live:
            ready.make_ready(move)
        elif not move.is_reverse:
            _create_tripwire_early(move)
    move.stamp("writes_blocked_at")
    routing.remember_routes(move)
    routing.route(move, move.source, fenced=True)
    flagged_at = fence.raise_flag(source)
    settled = fence.settle(source, flagged_at, grace_seconds=settings.MOVES_WRITER_GRACE_SECONDS, check=move.check)
    move.act(
        f"New sessions in {source.dbname} are read-only; ended {settled.ended_idle} idle sessions and "
        f"{settled.ended_busy} that did not finish in time."
    )
    if move.is_reverse:
        fence.open_up(move.dest_db, move.fact("source")["connect"])
        move.act(f"The app may connect to the replica in {move.dest} again, read-only.")
    move.remember(fence_lsn=proof.position(source))
    if not move.is_streamed:
        tripwire.create(source, move.name, patience_seconds=60)
        tripwire.arm(source, move.name, move.fact("fence_lsn"))
    move.act(f"No writer is left. Fence LSN {move.fact('fence_lsn')}.")


def _create_tripwire_early(move: Move) -> None:
    """Before the block, for it waits for the whole cluster's transactions; but one of the app's own may never end by
    itself, so not for long: behind the fence there is none of those."""
    try:
        tripwire.create(move.source_db, move.name, patience_seconds=3)
    except TransientError as error:
        move.act(f"No tripwire yet, write transactions are open: {error}")


def undo(move: Move) -> None:
    source = move.source_db
    fence.lower_flag(source, move.fact("source")["flag"])
    ended = fence.end_read_only_sessions(source, grace_seconds=settings.MOVES_WRITER_GRACE_SECONDS, check=move.check)
    routing.restore(move)
    move.stamp("writes_unblocked_at")
    move.act(f"{move.source} takes writes again; ended {ended} sessions that were still read-only.")
    if move.is_reverse:
        fence.shut(move.dest_db, check=move.check)
        move.act(f"Shut the replica in {move.dest} again.")
    elif not move.is_live:
        tripwire.drop_slot(source, move.name, check=move.check)

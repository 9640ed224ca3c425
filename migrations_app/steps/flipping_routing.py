"""flipping_routing: the pivot. The destination becomes the app's region.

What changes: edges send reads to the destination, the source's process stops, the hard fence goes up there, the app's
    region changes. Writes are still refused everywhere.
Done when: every edge routes to the destination, and nobody can write at the source.
Undo: take the hard fence down, start the source's process, bring reads back; then shut the destination and ask whether
    anybody wrote there. After the pivot is committed only while the destination has never taken writes.
How long: the comparison of both sides, then an instant.

Reads move, and the process ends those under way, before the hard fence goes up, so that none fails for want of a
database; both sides are equal and neither takes writes, so it does not matter which one answers (docs/decisions/0002).
Every gate comes before the commit:

    drained → equal → way back made ready → reads moved → process stopped → hard fence → blobs equal still
    → nothing written behind → commit

In the live plan the way back is ready by then, and only the rows that were written last are compared.
"""

from __future__ import annotations

from contextlib import suppress

from migrations_app.dataplane import runtime
from migrations_app.dataplane.database import fence, leftovers, tripwire
from migrations_app.errors import PermanentError, StepError
from migrations_app.move import Move, host
from migrations_app.steps import comparing, routing, way_back, way_in
from migrations_app.steps.copying_blobs import catch_up
from migrations_app.steps.copying_runtime import start_program

_READS_UNDER_WAY_SECONDS = 5


def skip(move: Move) -> str:
    return ""


def do(move: Move) -> None:
    if not move.row.pivot_at:
        if move.fact("shut"):  # an earlier attempt got as far as the hard fence
            fence.open_up(move.source_db, move.fact("source")["connect"])
        if move.is_live:
            if move.app.blobs:
                catch_up(move)  # before reads go there
            _bring_up_to_date(move)
            with comparing.under_the_stream(move) as comparison:
                comparing.settle(move, comparison)
                _shut_for_good(move)
                comparing.check_again(move, comparison)
        else:
            way_back.undo_identity(move)
            _bring_up_to_date(move)
            comparing.compare_at_rest(move)
            way_back.prepare(move)
            _shut_for_good(move)
        comparing.refuse_unless_equal(move)
        move.pass_pivot()
        move.act(f"Past the point of no return: {move.app} lives in {move.dest}.")
    else:
        _move_reads(move)
        _shut(move)


def _shut_for_good(move: Move) -> None:
    """The last gates: nobody writes any more, and nobody has since both sides were compared."""
    _move_reads(move)
    _stop_source(move)
    _shut(move)
    if move.app.blobs:
        catch_up(move)
    _check_fence_held(move)


def _move_reads(move: Move) -> None:
    routing.route(move, move.dest, fenced=True)
    fence.await_quiet(move.source_db, grace_seconds=_READS_UNDER_WAY_SECONDS, check=move.check)


def _shut(move: Move) -> None:
    move.remember(shut=True)
    ended = fence.shut(move.source_db, check=move.check)
    move.act(f"Hard fence in {move.source}: no app role can connect; ended {ended} sessions.")


def _stop_source(move: Move) -> None:
    """It ends the reads under way, while they have a database. And what a request let in before the fence still writes
    into the blob store, no fence of a database holds up."""
    if move.app.program:
        move.remember(source_stopped=True)
        runtime.stop(host(move.source), move.app.program, wait=True, check=move.check)
        move.act(f"Stopped {move.app.program} in {move.source}; its files stay.")


def undo(move: Move) -> None:
    fence.open_up(move.source_db, move.fact("source")["connect"])
    move.act(f"The app may connect in {move.source} again.")
    if move.fact("source_stopped"):
        runtime.stop(host(move.source), move.app.program, wait=True, check=move.check)  # it may still be stopping
        start_program(move, move.source)
    with suppress(StepError):  # an edge that does not answer is the business of blocking_writes
        routing.route(move, move.source, fenced=True)
    way_back.ask_before_undoing(move)


def _bring_up_to_date(move: Move) -> None:
    """Where a stream kept the destination current; in a snapshot it is as the dump was."""
    if not move.is_streamed:
        return
    _drain(move)
    source, dest = move.source_db, move.dest_db
    tables = leftovers.copy_unstreamed_tables(source, dest, check=move.check)
    objects = leftovers.copy_large_objects(source, dest, check=move.check)
    views = leftovers.refresh_materialised_views(dest, check=move.check, source=source)
    sequences = leftovers.copy_sequences(source, dest)
    move.act(
        f"Copied what no stream carries: {sequences} sequences, {len(tables)} tables, {objects} large "
        f"objects; refreshed {len(views)} materialised views."
    )


def _drain(move: Move) -> None:
    seconds = way_in.drain(move)
    move.act(f"{move.dest} has applied everything {move.source} has written ({seconds:.2f} s).")


def _check_fence_held(move: Move) -> None:
    """Behind the hard fence: did somebody step over the soft one since the fence LSN?"""
    if move.is_streamed:
        _drain(move)
        if move.is_live:
            way_back.refuse_writes_beside_the_stream(move)
    elif written := tripwire.changes(move.source_db, move.name):
        raise PermanentError(
            f"Somebody wrote in {move.source} behind the fence: {'; '.join(written)}. The dump is stale.",
            hint="Find who sets his sessions read-write by force, stop it, and request the move again.",
            code="written_behind_fence",
        )
    behind = leftovers.copy_sequences(move.source_db, move.dest_db)
    move.act(f"Nothing was written behind the fence; {behind} sequences moved on.")

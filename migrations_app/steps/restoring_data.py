"""restoring_data: restore the dump at the destination.

What changes: the destination's database is filled; sequences, unlogged tables, large objects and materialised views
    come with the dump, statistics are gathered. In the live plan the serving end of the way back is made here too, then
    the database subscribes to the slot of the dump, and what was written meanwhile streams in.
Done when: pg_restore ended without an error; that every row is there is proven before the pivot. In the live plan: the
    stream's lag is under its limit, and both sides were found equal but for what is being written.
Undo: drop the slots at the source, then the database.
How long: as long as writing all data and building all indexes takes, and for the stream to catch up.
"""

from __future__ import annotations

from django.conf import settings

from migrations_app.dataplane.database import copy_progress, creation, dump, leftovers
from migrations_app.dataplane.process import Check
from migrations_app.move import Move
from migrations_app.steps import comparing, way_back, way_in
from migrations_app.steps.reserving_dest import create_empty


def skip(move: Move) -> str:
    return "The replica was kept current: there is nothing to restore." if move.is_reverse else ""


def do(move: Move) -> None:
    if not move.is_live:
        _restore(move, move.check)
        return
    if not move.fact("restored"):
        _restore(move, way_in.watched(move))
        move.remember(restored=True)  # from here on the stream writes there: nothing is restored again
    way_back.prepare(move)  # before the stream: from now on its slot tells who else writes there
    way_in.begin(move)
    way_in.catch_up(move)
    comparing.compare_while_it_streams(move)


def _restore(move: Move, check: Check) -> None:
    dest, jobs = move.dest_db, settings.MOVES_COPY_JOBS
    dump.verify(move.dump_folder, jobs=jobs, check=check)
    if not dest.exists() or not creation.is_empty(dest):
        move.act("An earlier attempt left rows behind; begins with an empty database again.")
        creation.drop(dest)
        create_empty(move)
    dump.restore(
        dest,
        move.dump_folder,
        jobs=jobs,
        check=check,
        copying=copy_progress.restoring(move.source_db, dest, move.progress),
    )
    left_out = dump.analyze(dest, jobs=jobs, check=check)
    leftovers.refresh_materialised_views(dest, check=check, source=move.source_db)
    move.act(
        f"Restored {dest.dbname} in {move.dest} and gathered statistics"
        + (f", but for {', '.join(left_out)}." if left_out else ".")
    )


def undo(move: Move) -> None:
    way_back.ask_if_not_asked(move)
    if move.is_live:
        way_in.drop_slots(move)  # first: they would keep WAL for a destination that may be gone
    creation.drop(move.dest_db)
    move.act(f"Dropped what was restored in {move.dest}.")

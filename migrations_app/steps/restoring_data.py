"""restoring_data: restore the dump at the destination.

What changes: the destination's database is filled; sequences, unlogged tables, large objects and materialised views
    come with the dump, statistics are gathered.
Done when: pg_restore ended without an error. That every row is there is proven before the pivot.
Undo: drop the database.
How long: as long as writing all data and building all indexes takes.
"""

from __future__ import annotations

from django.conf import settings

from migrations_app.dataplane.database import creation, dump, identity, leftovers
from migrations_app.move import Move
from migrations_app.steps import way_back
from migrations_app.steps.reserving_dest import create_empty


def skip(move: Move) -> str:
    return "The replica was kept current: there is nothing to restore." if move.is_reverse else ""


def do(move: Move) -> None:
    dest, jobs = move.dest_db, settings.MOVES_COPY_JOBS
    dump.verify(move.dump_folder, jobs=jobs, check=move.check)
    if not dest.exists() or not creation.is_empty(dest):
        move.act("An earlier attempt left rows behind; begins with an empty database again.")
        creation.drop(dest)
        create_empty(move)
    with move.source_db.connect() as connection:
        total = len(identity.tables(connection))
    dump.restore(
        dest,
        move.dump_folder,
        jobs=jobs,
        check=move.check,
        on_table=lambda begun: move.progress(min(begun, total) - 1, total, "tables"),  # begun, not done
    )
    left_out = dump.analyze(dest, jobs=jobs, check=move.check)
    leftovers.refresh_materialised_views(dest, check=move.check, source=move.source_db)
    move.act(
        f"Restored {dest.dbname} in {move.dest} and gathered statistics"
        + (f", but for {', '.join(left_out)}." if left_out else ".")
    )


def undo(move: Move) -> None:
    way_back.ask_if_not_asked(move)
    creation.drop(move.dest_db)
    move.act(f"Dropped what was restored in {move.dest}.")

"""dumping_data: dump the source's database, which nobody writes to; in the live plan as of a slot's first moment.

What changes: a dump and its manifest of checksums in the move's work folder; it stays as the move's backup. In the live
    plan a slot at the source, which keeps what is written since.
Done when: the manifest is complete and matches.
Undo: drop the slot, delete the dump.
How long: as long as reading all data takes; a slot first waits for the write transactions that are open.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from migrations_app.dataplane.database import copy_progress, dump, snapshot_slot
from migrations_app.dataplane.process import Check
from migrations_app.move import Move
from migrations_app.steps import way_in


def skip(move: Move) -> str:
    return "The replica is current already: there is nothing to dump." if move.is_reverse else ""


def do(move: Move) -> None:
    source = move.source_db
    with _snapshot(move) as (snapshot, check):
        size = dump.dump(
            source,
            move.dump_folder,
            jobs=settings.MOVES_COPY_JOBS,
            check=check,
            copying=copy_progress.dumping(source, move.progress),
            snapshot=snapshot,
        )
    move.remember(dump_bytes=size)
    move.act(f"Dumped {source.dbname}: {size} bytes in {move.dump_folder}.")


@contextmanager
def _snapshot(move: Move) -> Iterator[tuple[str, Check]]:
    """What the dump reads, and its check(). An interrupted dump has lost its snapshot: both begin anew."""
    if not move.is_live:
        yield "", move.check
        return
    patience = settings.MOVES_SLOT_SECONDS
    with snapshot_slot.exported(move.source_db, move.name, patience_seconds=patience, check=move.check) as snapshot:
        move.act(f"Slot {move.name} keeps what is written in {move.source} from here on, for {move.dest}.")
        yield snapshot, way_in.watched(move)


def undo(move: Move) -> None:
    if move.is_live:
        way_in.drop_slots(move)
    shutil.rmtree(move.work_folder, ignore_errors=True)
    move.act(f"Deleted {move.work_folder}.")

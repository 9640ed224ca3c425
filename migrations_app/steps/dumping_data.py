"""dumping_data: dump the source's database, which nobody writes to.

What changes: a dump and its manifest of checksums in the move's work folder; it stays as the move's backup.
Done when: the manifest is complete and matches.
Undo: delete the dump.
How long: as long as reading all data takes.
"""

from __future__ import annotations

import shutil

from django.conf import settings

from migrations_app.dataplane.database import copy_progress, dump
from migrations_app.move import Move


def skip(move: Move) -> str:
    return "The replica is current already: there is nothing to dump." if move.is_reverse else ""


def do(move: Move) -> None:
    source = move.source_db
    size = dump.dump(
        source,
        move.dump_folder,
        jobs=settings.MOVES_COPY_JOBS,
        check=move.check,
        copying=copy_progress.dumping(source, move.progress),
    )
    move.remember(dump_bytes=size)
    move.act(f"Dumped {source.dbname}: {size} bytes in {move.dump_folder}.")


def undo(move: Move) -> None:
    shutil.rmtree(move.work_folder, ignore_errors=True)
    move.act(f"Deleted {move.work_folder}.")

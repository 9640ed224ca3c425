"""How much there is to carry, and is there room for it?"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from migrations_app.dataplane.database.connection import rows
from migrations_app.preflight.finding import Finding, failed, passed, warned
from migrations_app.preflight.sight import Sight
from migrations_app.units import size

_GROWTH = 1.5
"""Sorting for indexes, WAL, and what is written meanwhile come on top of what is there."""


def room_at_dest(sight: Sight) -> Iterator[Finding]:
    """What needs room is said; whether it is there SQL cannot ask."""
    whole, data = _sizes(sight)
    figures = {"bytes": data}
    if sight.is_reverse:
        yield passed(f"The replica holds the {size(whole)} already.", figures=figures)
        return
    yield passed(
        f"{sight.database} has {size(whole)}, {size(data)} of it without indexes; {sight.dest} should have "
        f"{size(int(whole * _GROWTH))} free.",
        why="SQL does not tell how much is free on a server's disk.",
        figures=figures,
    )


def work_folder(sight: Sight) -> Iterator[Finding]:
    """On the worker it is where the dump will be; elsewhere it may be another folder of that name, or none."""
    folder = settings.MOVES_WORK_DIR
    if sight.is_reverse or not (sight.on_worker or folder.exists()):
        return
    _, needed = _sizes(sight)
    free = shutil.disk_usage(_existing(folder)).free
    if free >= needed:
        yield passed(f"{size(free)} are free in {folder}; the dump may need {size(needed)}.")
    else:
        found = f"{size(free)} are free in {folder} on this machine; the dump may need {size(needed)}."
        remedy = "Free some, or point MOVES_WORK_DIR elsewhere."
        if sight.on_worker:
            yield failed(found, remedy)
        else:
            yield warned(
                found, remedy, "A worker of the destination writes the dump, perhaps to another disk.", about=""
            )


def _sizes(sight: Sight) -> tuple[int, int]:
    """Bytes of the database, and of what a dump holds of it: tables and large objects without their indexes."""
    with sight.source_db.connect() as connection:
        whole, tables, objects = rows(
            connection,
            """SELECT pg_database_size(current_database()),
                      (SELECT coalesce(sum(pg_table_size(c.oid)), 0)
                         FROM pg_class c WHERE relkind = 'r' AND c.oid >= 16384 AND relpersistence <> 't'),
                      pg_table_size('pg_catalog.pg_largeobject')""",
        )[0]
    return int(whole), int(tables + objects)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return folder if folder.exists() else _existing(folder.parent)

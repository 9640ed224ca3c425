"""The books filled at once with what years of moves leave, for tests and benchmarks: apps, moves, step runs, replicas,
approvals, alarms, the audit trail.

The rows are made by the SQL files beside this one, in the order of their names, in one transaction. All is on paper:
moves go between regions of which nothing exists but their rows, so that no worker of the sandbox takes one up. The same
numbers make the same rows, but for the times, which end with now.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path

from django.db import connection, transaction

from migrations_app.errors import Blocker, Refused
from migrations_app.models import Alarm, App, AppMigration, Approval, AuditEvent, SourceReplica, StepRun
from portal.sandbox.paper.bulk import checked_at_the_end

_FILES = sorted(Path(__file__).parent.glob("*.sql"))
_LARGE = (StepRun, SourceReplica, Approval, AuditEvent)
_MODELS = (App, AppMigration, Alarm, *_LARGE)

_FOR_BULK = """
SET LOCAL work_mem = '256MB';
SET LOCAL maintenance_work_mem = '512MB';
SET LOCAL synchronous_commit = off;
SET LOCAL jit = off;
"""
_WANTED = """
CREATE TEMP TABLE paper_wanted ON COMMIT DROP AS
SELECT %s AS apps, %s AS moves, %s AS events, %s AS live, date_trunc('second', now()) AS now
"""


@dataclass(frozen=True)
class Wanted:
    """How many of each. `moves` are over, `live` ones run; besides, some wait, are held, or are being undone. `events`:
    so many at least as the moves themselves have, six or seven for each."""

    apps: int = 500
    moves: int = 100_000
    events: int = 1_000_000
    live: int = 50


def fill(wanted: Wanted, *, say: Callable[[str], object] = lambda text: None) -> dict[str, int]:
    """Put it all on the books, and count what is there. Refused where there are apps already, or fewer are wanted than
    moves under way would need."""
    if App.objects.exists():
        raise Refused([Blocker("books_not_empty", "There are apps on the books.", "Use a database without any.")])
    if wanted.apps < 2 * wanted.live + 5:
        raise Refused([Blocker("too_few_apps", "Each move under way has an app of its own.", "Give more --apps.")])
    tables = {model: model._meta.db_table for model in _MODELS}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_FOR_BULK)
        cursor.execute(_WANTED, astuple(wanted))
        with checked_at_the_end(cursor, [tables[model] for model in _LARGE]):
            for file in _FILES:
                began = time.monotonic()
                cursor.execute(file.read_text())
                say(f"{file.stem[2:]}: {time.monotonic() - began:.1f} s")
    vacuum = "" if connection.in_atomic_block else "VACUUM "  # a test may be in a transaction of its own
    with connection.cursor() as cursor:
        cursor.execute(f"{vacuum}ANALYZE {', '.join(tables.values())}")
    return {str(model._meta.verbose_name_plural): model._default_manager.count() for model in _MODELS}

"""A move as it is asked for, before it is on the books."""

from __future__ import annotations

from typing import Any

from migrations_app import queries, rules
from migrations_app.errors import Refused
from migrations_app.models import App, AppMigration, Region
from migrations_app.preflight import choose_strategy
from migrations_app.states import Kind, Strategy


def draft(app: App, dest: Region, strategy: str, *, rehearse: bool = False, **fields: Any) -> AppMigration:
    """The row, not saved. `auto` is decided on, which takes a second or two: hold no lock meanwhile.

    Raises InvalidInput if there is no such strategy, Refused if the rules forbid the move.
    """
    strategy = queries.strategy(strategy)
    blockers = rules.forbids_move(app.move_facts(dest))
    if blockers:
        raise Refused(blockers)
    row = AppMigration(
        app=app,
        kind=Kind.REHEARSAL if rehearse else Kind.MOVE,
        strategy=Strategy.REHEARSAL if rehearse else strategy,
        source_region=app.region,
        dest_region=dest,
        **fields,
    )
    if row.strategy == queries.AUTO:
        row.strategy, row.strategy_reason = choose_strategy(row)
    return row

"""RQ's entry points."""

from __future__ import annotations

from uuid import UUID

from migrations_app.engine.executor import run_move as _run_move
from migrations_app.engine.teardown import forget_dump as _forget_dump
from migrations_app.engine.teardown import run_teardown as _run_teardown


def run_move(move_id: str) -> str:
    return _run_move(move_id)


def run_teardown(replica_id: str) -> str:
    return _run_teardown(int(replica_id))


def forget_dump(move_id: str) -> str:
    return _forget_dump(UUID(move_id))

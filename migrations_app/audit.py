"""The audit trail's chains of hashes, checked; and the trail as files.

An event's hash is the SHA-256 of a JSON array with all its fields and the hash before it (hash_of() builds it; the
database's trigger the same one). Whoever changes a byte of an event has to change every later hash of its chain; to
notice even that, or a chain's end cut off, keep the heads that `verify_audit` prints somewhere else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet

from migrations_app import spreadsheet
from migrations_app.models import AppMigration, AuditEvent
from migrations_app.states import ReplicaState

HASHED = (
    "chain",
    "number",
    "previous_hash",
    "at",
    "actor_id",
    "actor_name",
    "surface",
    "address",
    "verb",
    "target",
    "app_id",
    "migration_id",
    "from_status",
    "to_status",
    "reason",
)
"""What an event's hash covers, in this order."""

FIELDS = (*HASHED, "hash")
"""Of an exported event."""


@dataclass(frozen=True)
class Problem:
    """What is wrong with a chain, and from which event on (None: with its end)."""

    chain: str
    number: int | None
    found: str


@dataclass(frozen=True)
class Verdict:
    """`heads`: for each chain the number and hash of its last event."""

    events: int
    heads: dict[str, tuple[int, str]]
    problems: list[Problem]


def fields_of(event: AuditEvent) -> dict[str, Any]:
    """The event as exported: plain values, `at` in UTC to the microsecond."""
    return {
        **{field: getattr(event, field) for field in FIELDS},
        "at": event.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "migration_id": str(event.migration_id) if event.migration_id else None,
    }


def hash_of(fields: dict[str, Any]) -> str:
    """The hash that an event with these fields has."""
    content = json.dumps([fields[field] for field in HASHED], ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()


def verify(move: AppMigration | None = None) -> Verdict:
    """Check every chain, or one move's. Reads events and rows as of one moment; not inside a transaction."""
    events, moves = AuditEvent.objects.all(), AppMigration.objects.all()
    if move:
        events, moves = events.filter(chain=str(move.pk)), moves.filter(pk=move.pk)
    with transaction.atomic(durable=True):
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        return _verdict(events, moves)


def _verdict(events: QuerySet[AuditEvent], moves: QuerySet[AppMigration]) -> Verdict:
    problems: list[Problem] = []
    heads: dict[str, tuple[int, str]] = {}
    last_said: dict[tuple[str, bool], str] = {}
    count = 0
    for event in events.order_by("chain", "number").iterator(chunk_size=2000):
        count += 1
        number, previous_hash = heads.get(event.chain, (0, ""))
        if event.number != number + 1:
            problems.append(Problem(event.chain, event.number, f"event {number + 1} is missing"))
        elif event.previous_hash != previous_hash:
            problems.append(Problem(event.chain, event.number, "it does not follow from the event before it"))
        if hash_of(fields_of(event)) != event.hash:
            problems.append(Problem(event.chain, event.number, "it was changed: its hash is not its own"))
        heads[event.chain] = event.number, event.hash
        if event.to_status:
            last_said[event.chain, event.to_status in ReplicaState] = event.to_status
    for move_id, *now in moves.values_list("pk", "status", "source_replica__state").iterator(chunk_size=2000):
        for of_replica, status in enumerate(now):
            said = last_said.get((str(move_id), bool(of_replica)))
            # A replica's first event is written together with its move's last: if it is cut off, so is that one.
            if said != status and (said or not of_replica):
                what = "replica" if of_replica else "move"
                problems.append(
                    Problem(str(move_id), None, f"the {what} is {status}, and its last event says {said or 'nothing'}")
                )
    return Verdict(count, heads, problems)


def as_rows(events: QuerySet[AuditEvent]) -> Iterator[dict[str, Any]]:
    """The events as exported, oldest first."""
    return map(fields_of, events.order_by("id").iterator(chunk_size=2000))


def json_lines(events: QuerySet[AuditEvent]) -> Iterator[str]:
    for row in as_rows(events):
        yield json.dumps(row, ensure_ascii=False) + "\n"


def csv_lines(events: QuerySet[AuditEvent]) -> Iterator[str]:
    return spreadsheet.csv_lines(FIELDS, (row.values() for row in as_rows(events)))


FORMATS = {"csv": csv_lines, "jsonl": json_lines}

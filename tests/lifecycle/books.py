"""What the portal's database says, read in one query: compared before and after every act."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import psycopg
from django.db import connection


class MoveRow(NamedTuple):
    id: str
    app: str
    kind: str
    status: str
    source: str
    dest: str
    reverses: str | None
    pivot: bool
    resting: bool
    """Not due yet."""
    leased: bool
    overran: bool
    """Writes are blocked, and for too long."""
    way_back: bool
    """It is proven: the destination may take writes."""
    undoing: bool

    @property
    def active(self) -> bool:
        return self.status not in ("completed", "aborted", "failed")


class ApprovalRow(NamedTuple):
    id: int
    act: str
    move: str
    state: str
    asked_by: str | None
    decided_by: str | None
    overdue: bool


class ReplicaRow(NamedTuple):
    id: int
    move: str
    app: str
    region: str
    state: str
    resting: bool
    leased: bool


class Event(NamedTuple):
    id: int
    move: str | None
    verb: str
    actor: str | None
    before: str
    after: str


@dataclass
class Books:
    """Moves and approvals from the oldest to the newest; `events`: those since the last look."""

    homes: dict[str, str] = field(default_factory=dict)
    regions: dict[str, tuple[str, bool]] = field(default_factory=dict)
    """By slug: its connection string, and whether it accepts moves."""
    moves: dict[str, MoveRow] = field(default_factory=dict)
    approvals: dict[int, ApprovalRow] = field(default_factory=dict)
    replicas: dict[str, ReplicaRow] = field(default_factory=dict)
    """By move."""
    events: list[Event] = field(default_factory=list)
    last: int = 0

    def same(self, before: Books) -> bool:
        return not self.events and (self.moves, self.approvals, self.replicas, self.homes) == (
            before.moves,
            before.approvals,
            before.replicas,
            before.homes,
        )

    def active_of(self, app: str) -> list[MoveRow]:
        return [move for move in self.moves.values() if move.app == app and move.active]

    def open_replica_of(self, app: str) -> ReplicaRow | None:
        kept = [r for r in self.replicas.values() if r.app == app and r.state in ("retained", "tearing_down")]
        return kept[0] if kept else None

    def asked_about(self, move: str, state: str = "open") -> ApprovalRow | None:
        """The newest request for consent in that state."""
        found = [approval for approval in self.approvals.values() if approval.move == move and approval.state == state]
        return found[-1] if found else None

    def open_about(self, move: str) -> str:
        """The act that waits for approval; empty where none does."""
        return next(
            (asked.act for asked in self.approvals.values() if asked.move == move and asked.state == "open"), ""
        )

    def consent_to_start(self, move: str) -> ApprovalRow | None:
        found = [a for a in self.approvals.values() if a.move == move and a.state == "approved"]
        return next((approval for approval in found if approval.act in ("move", "reverse")), None)


_QUERY = """
SELECT json_build_object(
    'homes', (SELECT json_agg(json_build_array(a.slug, r.slug))
        FROM migrations_app_app a JOIN migrations_app_region r ON r.id = a.region_id),
    'regions', (SELECT json_agg(json_build_array(slug, database, accepts_moves)) FROM migrations_app_region),
    'moves', (SELECT json_agg(json_build_array(m.id, a.slug, m.kind, m.status, s.slug, d.slug, m.reverses_id,
            m.pivot_at IS NOT NULL, coalesce(m.due_at > clock_timestamp(), false),
            coalesce(m.lease_expires_at > clock_timestamp(), false),
            coalesce(m.writes_blocked_at < clock_timestamp() - interval '1 hour', false)
                AND m.writes_unblocked_at IS NULL,
            EXISTS (SELECT FROM migrations_app_steprun r WHERE r.migration_id = m.id AND r.direction = 'do'
                AND r.step = 'setting_up_reverse_replication' AND r.status = 'done'),
            m.ends_as <> '') ORDER BY m.initiated_at)
        FROM migrations_app_appmigration m JOIN migrations_app_app a ON a.id = m.app_id
        JOIN migrations_app_region s ON s.id = m.source_region_id
        JOIN migrations_app_region d ON d.id = m.dest_region_id),
    'approvals', (SELECT json_agg(json_build_array(p.id, p.act, p.migration_id, p.state, asked.username,
            decided.username, p.expires_at < clock_timestamp()) ORDER BY p.id)
        FROM migrations_app_approval p LEFT JOIN auth_user asked ON asked.id = p.requested_by_id
        LEFT JOIN auth_user decided ON decided.id = p.decided_by_id),
    'replicas', (SELECT json_agg(json_build_array(p.id, p.migration_id, a.slug, r.slug, p.state,
            coalesce(p.due_at > clock_timestamp(), false),
            coalesce(p.lease_expires_at > clock_timestamp(), false)) ORDER BY p.id)
        FROM migrations_app_sourcereplica p JOIN migrations_app_app a ON a.id = p.app_id
        JOIN migrations_app_region r ON r.id = p.region_id),
    'events', (SELECT json_agg(json_build_array(e.id, e.migration_id, e.verb, u.username, e.from_status, e.to_status)
            ORDER BY e.id)
        FROM migrations_app_auditevent e LEFT JOIN auth_user u ON u.id = e.actor_id WHERE e.id > %s)
)::text
"""


def read(since: int) -> Books:
    """The books as they are now, with the events after that one."""
    with psycopg.Cursor(connection.connection) as cursor:  # unlike Django's, it can prepare: thousands of looks
        row = cursor.execute(_QUERY, [since], prepare=True).fetchone()
    assert row
    found: dict[str, list[list[Any]] | None] = json.loads(row[0])

    def rows(name: str) -> list[list[Any]]:
        return found[name] or []

    moves = [MoveRow(*row) for row in rows("moves")]
    approvals = [ApprovalRow(*row) for row in rows("approvals")]
    replicas = [ReplicaRow(*row) for row in rows("replicas")]
    events = [Event(*row) for row in rows("events")]
    return Books(
        homes={app: region for app, region in rows("homes")},
        regions={slug: (database, accepts) for slug, database, accepts in rows("regions")},
        moves={move.id: move for move in moves},
        approvals={approval.id: approval for approval in approvals},
        replicas={replica.move: replica for replica in replicas},
        events=events,
        last=events[-1].id if events else since,
    )

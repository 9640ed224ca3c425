"""What forbids this? Every rule of the portal, each answering with a list of blockers (empty: go ahead).

Pure: a rule looks at what it is handed and never at the database. Rules that a race could break are held by a
database constraint of the same meaning as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migrations_app.errors import Blocker
from migrations_app.states import TERMINAL, Kind, ReplicaState, Status

if TYPE_CHECKING:
    from migrations_app.models import App, AppMigration, Region, SourceReplica

CONNINFO_PASSWORD = r"(password\s*=)|(://[^/@]*:[^/@]*@)"  # noqa: S105 — the pattern that finds one


def connection_string_problem(conninfo: str) -> Blocker | None:
    """A connection string may not carry a password: the portal's database holds no secret."""
    if re.search(CONNINFO_PASSWORD, conninfo, re.IGNORECASE):
        return Blocker(
            "password_in_connection_string",
            "The connection string carries a password.",
            "Leave it out; put it into the file that PGPASSFILE names.",
        )
    return None


@dataclass(frozen=True)
class MoveFacts:
    """What the rules on a new move look at."""

    app: App
    dest: Region
    kind: Kind
    active: AppMigration | None
    replica: SourceReplica | None


def forbids_move(facts: MoveFacts) -> list[Blocker]:
    """One move per app at a time, to another region, both open, and no way back given up by accident."""
    app, dest = facts.app, facts.dest
    found = []
    if facts.active:
        found.append(
            Blocker(
                "move_active",
                f"Move {facts.active.id} of {app} is {facts.active.status}; one move at a time.",
                "Wait for it, or abort it.",
            )
        )
    if app.region_id == dest.pk:
        found.append(Blocker("same_region", f"{app} already lives in {dest}.", "Choose another region."))
    for region in (app.region, dest):
        if not region.accepts_moves:
            found.append(
                Blocker(
                    "region_closed",
                    f"Region {region} is closed to moves.",
                    "Choose another, or ask an admin to open it.",
                )
            )
    if facts.kind is Kind.MOVE and facts.replica:
        replica = facts.replica
        found.append(
            Blocker(
                "replica_retained",
                f"{app} still has a replica in {replica.region}, left by move {replica.migration_id}.",
                f"Go back with `manage_migrations reverse {replica.migration_id}`, or give the way back up with "
                f"`teardown_source_replica {replica.migration_id} --confirm {app}`.",
            )
        )
    return found


def forbids_edit(facts: MoveFacts) -> Blocker | None:
    """What a move or a replica of the app goes by may not change under it."""
    if facts.active or facts.replica:
        return Blocker(
            "app_in_use",
            f"A move or a replica of {facts.app} goes by this.",
            "Change it once no move is under way and no replica is kept.",
        )
    return None


def forbids_abort(move: AppMigration) -> list[Blocker]:
    """Before the pivot only."""
    if move.status in TERMINAL or move.status == Status.ABORTING:
        return [Blocker("not_abortable", f"The move is {move.status}; there is nothing to abort.")]
    if move.pivot_at:
        return [
            Blocker(
                "past_pivot",
                "The move is past the point of no return: the app is served from the destination.",
                _forward_first(move),
            )
        ]
    return []


def _forward_first(move: AppMigration) -> str:
    """What to do with a move past its pivot."""
    go_on = f"Let it go on with `manage_migrations retry {move.id}`." if move.status == Status.HELD else ""
    return f"{go_on} Once it is completed, go back with `manage_migrations reverse {move.id}`.".strip()


def forbids_retry(move: AppMigration) -> list[Blocker]:
    """Only what is held."""
    if move.status != Status.HELD:
        return [Blocker("not_held", f"The move is {move.status}; only a held move can be tried again.")]
    return []


def forbids_reverse(move: AppMigration, replica: SourceReplica | None, facts: MoveFacts) -> list[Blocker]:
    """Only a completed move whose replica is still retained."""
    if move.status != Status.COMPLETED:
        return [
            Blocker(
                "not_completed",
                f"The move is {move.status}; only a completed move can be reversed.",
                _forward_first(move) if move.pivot_at else "Abort it instead, or wait until it is completed.",
            )
        ]
    # The replica to go back to is what a new move would be refused for.
    return forbids_use_of(replica, "reversed") or forbids_move(facts)


def forbids_teardown(move: AppMigration, replica: SourceReplica | None, active: AppMigration | None) -> list[Blocker]:
    """Only a retained replica, and only while the app stands still."""
    found = forbids_use_of(replica, "torn down")
    if not found and active:
        found = [
            Blocker(
                "move_active",
                f"Move {active.id} of {move.app} is {active.status} and needs the replica.",
                "Wait for it, or abort it.",
            )
        ]
    return found


def forbids_use_of(replica: SourceReplica | None, participle: str) -> list[Blocker]:
    if replica is None:
        return [Blocker("no_replica", f"The move left no replica that could be {participle}.")]
    if replica.state != ReplicaState.RETAINED:
        words = {
            ReplicaState.TEARING_DOWN: "is being torn down: the way back is given up",
            ReplicaState.TORN_DOWN: "was torn down: there is no way back",
            ReplicaState.REVERSED: "serves again since the move was reversed",
        }
        return [Blocker(f"replica_{replica.state}", f"The replica {words[ReplicaState(replica.state)]}.")]
    return []

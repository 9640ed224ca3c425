"""What forbids this? Every rule of the portal, each answering with a list of blockers (empty: go ahead).

Pure: a rule looks at what it is handed and never at the database. Rules that a race could break are held by a
database constraint of the same meaning as well.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from migrations_app.errors import Blocker
from migrations_app.states import STARTS, TERMINAL, Act, ApprovalState, Kind, ReplicaState, Status

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from migrations_app.models import App, AppMigration, Approval, OutboxMessage, Region, SourceReplica

ROLES = ("Viewer", "Requester", "Approver", "Operator", "Admin")
"""The groups that are roles; every other group is a team."""

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


INLINE_OPTIONS = r"^:?[^/:]*,.*:"
"""An rclone path that carries options, which may be keys: `:s3,secret_access_key=…:` or `remote,option=…:`."""


def address_problem(address: str) -> Blocker | None:
    """Nor may a region's other addresses: no password in a URL, no options in an rclone path."""
    if re.search(CONNINFO_PASSWORD, address, re.IGNORECASE):
        return Blocker("password_in_address", "The address carries a password.", "Leave it out; put it into .netrc.")
    if re.search(INLINE_OPTIONS, address):
        return Blocker(
            "options_in_path",
            "The path carries options, which may be keys.",
            "Name a remote; put its options into the file that RCLONE_CONFIG names.",
        )
    return None


def _words(move: AppMigration) -> str:
    """Its status, as a sentence says it."""
    return Status(move.status).label.lower()


@dataclass(frozen=True)
class MoveFacts:
    """What the rules on a new move look at."""

    app: App
    dest: Region
    kind: Kind
    active: AppMigration | None
    replica: SourceReplica | None
    windows_meet: bool = True


def forbids_move(facts: MoveFacts) -> list[Blocker]:
    """One move per app at a time, to another region, both open, and no way back given up by accident."""
    app, dest = facts.app, facts.dest
    found = []
    if facts.active:
        found.append(
            Blocker(
                "move_active",
                f"Move {facts.active.id} of {app} is {_words(facts.active)}; one move at a time.",
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
    if facts.kind is not Kind.REVERSE and not facts.windows_meet:
        found.append(
            Blocker(
                "windows_never_meet",
                f"The maintenance windows of {app.region} and {dest} are never open at the same time.",
                "Ask an admin to change one of them.",
            )
        )
    if facts.kind is not Kind.REVERSE and facts.replica:
        replica, left_by = facts.replica, facts.replica.migration_id
        found.append(
            Blocker(
                "replica_retained",
                f"{app} still has a replica in {replica.region}, left by move {left_by}.",
                f"Tear down the replica that move {left_by} left."
                if replica.is_lost
                else f"Reverse move {left_by}, or tear down the replica it left.",
            )
        )
    return found


_LOOK = "Look how the move stands now."


def forbids_by_preflight(findings: Iterable[dict[str, str]]) -> list[Blocker]:
    """Nothing begins that preflight says will fail."""
    return [
        Blocker("preflight_failed", f["found"], " ".join(filter(None, (f["why"], f["remedy"]))))
        for f in findings
        if f["outcome"] == "fail"
    ]


def forbids_decision(approval: Approval | None, move: AppMigration, now: datetime) -> list[Blocker]:
    """Only what waits for one, and not for too long."""
    if approval is None or approval.state != ApprovalState.OPEN:
        return [Blocker("nothing_to_decide", f"The move is {_words(move)}; nothing of it waits for a decision.", _LOOK)]
    if approval.expires_at <= now:
        return [Blocker("expired", "The request has expired: nobody decided on it in time.", "Ask for it anew.")]
    return []


def forbids_approval(approval: Approval | None, move: AppMigration, now: datetime, user: User | None) -> list[Blocker]:
    """Who requests does not approve."""
    found = forbids_decision(approval, move, now)
    if approval and not found and user and approval.requested_by_id == user.pk:
        found = [Blocker("own_request", "You asked for this yourself.", "Somebody else has to approve it.")]
    return found


def forbids_withdrawal(
    approval: Approval | None, move: AppMigration, now: datetime, user: User | None
) -> list[Blocker]:
    """One's own request only."""
    found = forbids_decision(approval, move, now)
    if approval and not found and approval.requested_by_id != (user.pk if user else None):
        asked = approval.requested_by.get_username() if approval.requested_by else "somebody at the portal's shell"
        remedy = "Reject it, or abort the move." if approval.act in STARTS else "Reject it."
        found = [Blocker("not_own_request", f"{asked} asked for this, not you.", remedy)]
    return found


def forbids_asking_twice(approval: Approval | None) -> list[Blocker]:
    """One request for consent at a time about a move."""
    if approval is None:
        return []
    asked = f"The {Act(approval.act).label.lower()} already waits for approval."
    return [Blocker("already_asked", asked, "Somebody else has to approve or reject it.")]


def forbids_start(move: AppMigration, facts: MoveFacts) -> list[Blocker]:
    """What forbade the request, looked at again on approval; the move itself is no hindrance to it."""
    found = forbids_move(replace(facts, active=None))
    if move.reverses_id and not found:
        found = forbids_going_back_to(facts.replica)
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


def forbids_owner(group: str) -> Blocker | None:
    """An app belongs to a team."""
    if group in ROLES:
        return Blocker("invalid_owner", f"{group} is a role, not a team.", "Name a team.")
    return None


def forbids_abort(move: AppMigration) -> list[Blocker]:
    """Before the pivot only."""
    if move.status in TERMINAL or move.status == Status.ABORTING:
        return [Blocker("not_abortable", f"The move is {_words(move)}; there is nothing to abort.", _LOOK)]
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
    return "Retry it, or reverse it." if move.status == Status.HELD else "Once it is completed, reverse it."


def forbids_retry(move: AppMigration) -> list[Blocker]:
    """Only what is held."""
    if move.status != Status.HELD:
        return [Blocker("not_held", f"The move is {_words(move)}; only a held move can be tried again.", _LOOK)]
    return []


def forbids_reverse(move: AppMigration, replica: SourceReplica | None, facts: MoveFacts) -> list[Blocker]:
    """Only a completed move whose replica is still retained, one that was held when a reverse took over, or one that is
    held past its pivot."""
    if move.status == Status.HELD and move.pivot_at:
        return []
    if move.status != Status.COMPLETED and not (move.status == Status.FAILED and replica):
        return [
            Blocker(
                "not_completed",
                f"The move is {_words(move)}; only a completed move can be reversed.",
                _forward_first(move) if move.pivot_at else "Abort it instead, or wait until it is completed.",
            )
        ]
    # The replica to go back to is what a new move would be refused for.
    return forbids_going_back_to(replica) or forbids_move(facts)


def forbids_teardown(move: AppMigration, replica: SourceReplica | None, active: AppMigration | None) -> list[Blocker]:
    """Only a retained replica, and only while the app stands still."""
    if replica is None and move.pivot_at and move.status not in TERMINAL:
        return [Blocker("no_replica", "The replica is on the books once the move is completed.", "Wait for that.")]
    found = forbids_use_of(replica, "torn down")
    if not found and active:
        found = [
            Blocker(
                "move_active",
                f"Move {active.id} of {move.app} is {_words(active)} and needs the replica.",
                "Wait for it, or abort it.",
            )
        ]
    return found


LONGEST_KEEP = timedelta(days=366)


def day_problem(until: datetime, now: datetime) -> Blocker | None:
    """A replica is kept until a day that comes, and not so long that nobody remembers why."""
    if until <= now:
        return Blocker("invalid_time", f"{until:%Y-%m-%d} is not to come.", "Give a later day, or tear it down.")
    if until > now + LONGEST_KEEP:
        return Blocker(
            "invalid_time",
            f"{until:%Y-%m-%d} is over a year away.",
            "Give an earlier day, and keep it again then.",
        )
    return None


LONGEST_COMMENT = 2000
_BIDI_CONTROLS = {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}


def comment_problem(text: str) -> Blocker | None:
    """A comment is text that reads as it is written: line breaks and tabs are the only control characters."""
    if not 1 <= len(text) <= LONGEST_COMMENT:
        long = f"{len(text)} characters long" if text else "empty"
        return Blocker("comment_length", f"The comment is {long}.", f"Write 1 to {LONGEST_COMMENT} characters.")
    odd = next((char for char in text if char not in "\n\t" and _is_control(char)), None)
    if odd:
        return Blocker(
            "control_character",
            f"The comment has a control character, U+{ord(odd):04X}, at place {text.index(odd) + 1}.",
            "Leave it out.",
        )
    return None


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Cs") or unicodedata.bidirectional(char) in _BIDI_CONTROLS


DRIFTED = "replica_drifted"
"""The code of a problem, as the alarm about it has it."""


def forbids_use_of(replica: SourceReplica | None, participle: str) -> list[Blocker]:
    if replica is None:
        return [Blocker("no_replica", f"The move left no replica that could be {participle}.", _LOOK)]
    if replica.state != ReplicaState.RETAINED:
        words = {
            ReplicaState.TEARING_DOWN: "is being torn down: the way back is given up",
            ReplicaState.TORN_DOWN: "was torn down: there is no way back",
            ReplicaState.REVERSED: "was the way back when the move was reversed",
        }
        return [Blocker(f"replica_{replica.state}", f"The replica {words[ReplicaState(replica.state)]}.", _LOOK)]
    return []


def forbids_going_back_to(replica: SourceReplica | None) -> list[Blocker]:
    """Nor one of which is known that the reverse would end without a switch: at its first step, as nothing streams; or,
    where tables have changed, at the comparison, and writes would be blocked for nothing until then.

    What may pass by itself, such as a lag or a region that is away, the reverse looks at when it begins.
    """
    found = forbids_use_of(replica, "reversed")
    if found or replica is None:
        return found
    if replica.is_lost:
        lost = f"The replica's slot is {replica.wal_status}: it cannot become current again, and the way back is gone."
        return [Blocker("way_back_lost", lost, "Tear it down; to bring the app back, move it there anew.")]
    if replica.problem_code == DRIFTED:
        return [
            Blocker(
                "replica_drifted",
                "The app's tables are not those of its replica any more: the comparison would refuse the switch.",
                "Repeat the change there, as docs/deployment.md says; the reconciler sees it when it looks next.",
            )
        ]
    return []


def forbids_resending(message: OutboxMessage) -> list[Blocker]:
    """Only what was given up, and only to whom is still to be told."""
    if message.state != "dead":
        said = "It was sent." if message.state == "sent" else "It is still being tried."
        return [Blocker("not_dead", said, "Only what is dead is sent again.")]
    if not message.subscription.enabled:
        return [Blocker("subscription_off", f"{message.subscription} is switched off.", "Switch it on first.")]
    return []

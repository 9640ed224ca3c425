"""The words a move is described with, and the one table of its transitions. Pure: no models, no I/O."""

from __future__ import annotations

from django.db.models import TextChoices


class Step(TextChoices):
    """The eleven steps. Stored by key, never by position; their order is a plan's (engine/plan.py)."""

    REQUESTED = "requested"
    RESERVING_DEST = "reserving_dest"
    BLOCKING_WRITES = "blocking_writes"
    DUMPING_DATA = "dumping_data"
    RESTORING_DATA = "restoring_data"
    COPYING_BLOBS = "copying_blobs"
    COPYING_RUNTIME = "copying_runtime"
    FLIPPING_ROUTING = "flipping_routing"
    SETTING_UP_REVERSE_REPLICATION = "setting_up_reverse_replication"
    UNBLOCKING_WRITES = "unblocking_writes"
    COMPLETED = "completed"


class Kind(TextChoices):
    MOVE = "move"
    REVERSE = "reverse"
    REHEARSAL = "rehearsal"


class Strategy(TextChoices):
    """How a move walks the steps; its plan is in engine/plan.py."""

    SNAPSHOT = "snapshot"
    LIVE = "live"
    REVERSE = "reverse"
    REHEARSAL = "rehearsal"


COPIES_LIVE = frozenset({Strategy.LIVE, Strategy.REHEARSAL})
"""The app goes on writing while its data is copied."""


class Act(TextChoices):
    """What a person can want of a move, and policy may ask a second person for (MOVES_FOUR_EYES)."""

    MOVE = "move"
    REVERSE = "reverse"
    ABORT = "abort"
    RETRY = "retry"
    TEARDOWN = "teardown"


STARTS = frozenset({Act.MOVE, Act.REVERSE})
"""Acts that begin a move of their own. A rehearsal is asked for, and consented to, as a move is."""


def start_of(kind: str) -> Act:
    return Act.REVERSE if kind == Kind.REVERSE else Act.MOVE


class Status(TextChoices):
    AWAITING_APPROVAL = "awaiting_approval"
    QUEUED = "queued"
    RUNNING = "running"
    HELD = "held"
    ABORTING = "aborting"
    COMPLETED = "completed"
    ABORTED = "aborted"
    FAILED = "failed"


MAY_WAIT: dict[Act, frozenset[Status]] = {
    Act.MOVE: frozenset({Status.AWAITING_APPROVAL}),
    Act.REVERSE: frozenset({Status.AWAITING_APPROVAL}),
    Act.ABORT: frozenset({Status.AWAITING_APPROVAL, Status.QUEUED, Status.RUNNING, Status.HELD}),
    Act.RETRY: frozenset({Status.HELD}),
    Act.TEARDOWN: frozenset({Status.COMPLETED, Status.FAILED}),  # failed: held past its pivot when a reverse took over
}
"""In which status of the move a request for consent to the act can be open; in any other it is void."""

TERMINAL = frozenset({Status.COMPLETED, Status.ABORTED, Status.FAILED})
ACTIVE = frozenset(Status) - TERMINAL
WORKED = frozenset({Status.QUEUED, Status.RUNNING, Status.ABORTING})
"""What a runner may claim."""

TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.AWAITING_APPROVAL: frozenset(
        {
            Status.QUEUED,  # somebody else approved it
            Status.ABORTED,  # rejected, withdrawn or expired: nothing had begun
        }
    ),
    Status.QUEUED: frozenset(
        {
            Status.RUNNING,  # its time has come, nothing forbids the start
            Status.AWAITING_APPROVAL,  # what was approved has changed: somebody has to look again
            Status.ABORTED,  # aborted, withdrawn or expired: nothing had begun
            Status.FAILED,  # what it needs is not there: nothing had begun
        }
    ),
    Status.RUNNING: frozenset(
        {
            Status.COMPLETED,  # the last step is done
            Status.HELD,  # failed past the pivot, or three workers died on one step
            Status.ABORTING,  # a person, a deadline or a failure before the pivot: undo everything
        }
    ),
    Status.HELD: frozenset(
        {
            Status.RUNNING,  # retry what failed
            Status.ABORTING,  # abort before the pivot, try the undoing again, or go back: no write was taken yet
            Status.FAILED,  # past the pivot, and a reverse takes over
        }
    ),
    Status.ABORTING: frozenset(
        {
            Status.ABORTED,  # undone, because a person or a deadline wanted it
            Status.FAILED,  # undone, because a step could not be done
            Status.COMPLETED,  # a rehearsal, which leaves nothing behind
            Status.HELD,  # the undoing itself fails
        }
    ),
    Status.COMPLETED: frozenset(),
    Status.ABORTED: frozenset(),
    Status.FAILED: frozenset(),
}


def may_become(before: str, after: str) -> bool:
    return Status(after) in TRANSITIONS[Status(before)]


class Scope(TextChoices):
    """What a token may be used for; its user's rights are the limit (permissions.SCOPE_OF says which verbs)."""

    READ = "read"  # look at everything that its user sees
    REQUEST = "request"  # ask for moves, take that back, comment
    APPROVE = "approve"  # decide on what others ask for
    OPERATE = "operate"  # whatever else moves, ends or keeps things


class ApprovalState(TextChoices):
    """What became of a request for a second person's consent."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"  # by somebody else, who says why
    WITHDRAWN = "withdrawn"  # by who asked
    EXPIRED = "expired"  # nobody decided in time, or the move did not start in time
    VOID = "void"  # what was approved has changed, or there is nothing left to decide


class RunStatus(TextChoices):
    """What became of one attempt at one step."""

    WAITING = "waiting"  # for its time or a free slot; nothing has been done
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class Direction(TextChoices):
    DO = "do"
    UNDO = "undo"


class ReplicaState(TextChoices):
    """What became of the copy left behind after the pivot."""

    RETAINED = "retained"  # current, and the way back
    TEARING_DOWN = "tearing_down"  # being dropped; the way back is given up already
    TORN_DOWN = "torn_down"
    REVERSED = "reversed"  # it serves again


REPLICA_OPEN = frozenset({ReplicaState.RETAINED, ReplicaState.TEARING_DOWN})

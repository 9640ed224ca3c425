"""What the API takes and answers. Unknown fields are refused; what it answers is fixed (DESIGN: HTTP)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema

from migrations_app.states import ApprovalState, Kind, ReplicaState, RunStatus, Status, Step, Strategy

LONGEST_TEXT = 2000
LAST_YEAR = 9000
"""So that what is counted from a time is a time as well."""

NO_REASON = "No reason was given (API)."
"""Where people have to give one, a program may leave it out."""


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a time is a string")
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("the time has no zone: write it as 2030-01-31T02:00:00+01:00")
    if not 2000 <= moment.year <= LAST_YEAR:
        raise ValueError(f"the year is not one of 2000 to {LAST_YEAR}")
    return moment.astimezone(UTC)


Text = Annotated[str, Field(max_length=LONGEST_TEXT, pattern=r"^[^\x00-\x08\x0B-\x1F\x7F]*$")]
"""Line breaks and tabs are its only control characters."""

Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema({"type": "string", "format": "date-time"})]
"""ISO 8601 with a zone."""


class Body(Schema):
    model_config = ConfigDict(extra="forbid", strict=True)


class WantedMove(Body):
    dest_region: str
    strategy: Literal["snapshot", "live", "auto"] = "snapshot"
    reason: Text = NO_REASON
    not_before: Moment | None = None


class Reasoned(Body):
    reason: Text = NO_REASON


class Withdrawal(Body):
    reason: Text = ""


class Rejection(Body):
    reason: Text = Field(min_length=1)


class Consent(Body):
    """`seen`: the fingerprint of what was looked at, as `…/approvals` tells it; without it, what is on the books."""

    seen: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    comment: Text = ""


class Remark(Body):
    text: Text = Field(min_length=1)


# -- answers -----------------------------------------------------------------------------------------------------------


class FieldProblem(Schema):
    field: str
    problem: str


class BlockerShape(Schema):
    code: str
    reason: str
    hint: str


class Error(Schema):
    """`code` and `blockers` with `ineligible`: all that forbids the act. `fields`: all that is wrong with the input."""

    error: str
    reason: str
    hint: str
    code: str | None = None
    blockers: list[BlockerShape] | None = None
    fields: list[FieldProblem] | None = None


class Regions(Schema):
    regions: list[str]


class RegionShape(Schema):
    """`window`: when moves may begin there, in words; null: at any time. `apps`: how many the caller sees there."""

    region: str
    name: str
    accepts_moves: bool
    window: str | None
    apps: int


class AppShape(Schema):
    app_id: str
    team: str | None
    region: str
    hostname: str
    active_migration_id: UUID | None


class Apps(Schema):
    apps: list[AppShape]
    next: str | None


class Stands(Schema):
    """Where a move stands."""

    migration_id: UUID
    app_id: str
    kind: Kind
    strategy: Strategy
    status: Status
    current_step: Step
    step_started_at: datetime | None


class Became(Schema):
    """What became of it so far."""

    retry_count: int
    last_error: str | None
    source_region: str
    dest_region: str
    source_replica_state: ReplicaState | None
    initiated_at: datetime
    completed_at: datetime | None


class Outline(Became, Stands):
    """A move, as lists have it. Fields come in the order of the bases from right to left."""


class Progress(Schema):
    """`current`: of the step, 0 to 1, or null; `details`: what it counts, as docs/steps.md says, or null."""

    steps_done: int
    steps_total: int
    current: float | None
    details: dict[str, Any] | None


class InProgress(Stands):
    progress: Progress


class Migration(Became, InProgress):
    """A move, in the published order."""


class Active(Schema):
    migration: Migration | None


class Migrations(Schema):
    migrations: list[Outline]
    next: str | None


class Begun(Schema):
    migration_id: UUID
    status: Status


class Changed(Begun):
    """`awaiting_approval`: what was asked for and waits for a second person; the move stays as it is until then."""

    awaiting_approval: str | None = None


class Reversed(Schema):
    """The same id twice: clients of both spellings are there."""

    migrationId: UUID
    migration_id: UUID
    path: Literal["fast"]


class Replica(Schema):
    migration_id: UUID
    app_id: str
    source_region: str
    dest_region: str
    completed_at: datetime | None
    state: ReplicaState
    size_bytes: int
    estimated_monthly_cost_usd: float


class Replicas(Schema):
    source_replicas: list[Replica]


class TornDown(Schema):
    status: Literal["torn_down"]


class TearingDown(Schema):
    status: Literal["tearing_down", "awaiting_approval"]


class Undo(Schema):
    state: RunStatus
    reason: str
    acts: list[dict[str, Any]]


class StepShape(Schema):
    """One of the eleven, with its latest attempt; `acts` is its log: `[{at, text}]`."""

    step: Step
    pivot: bool
    state: RunStatus | Literal["pending"]
    skipped: bool
    undone: bool
    undo: Undo | None
    attempts: int
    started_at: datetime | None
    seconds: float | None
    progress: float | None
    details: dict[str, Any] | None
    reason: str
    acts: list[dict[str, Any]]


class Steps(Schema):
    steps: list[StepShape]


class Preflight(Schema):
    """What preflight found last: `{id, check, outcome, found, why, remedy}` and figures."""

    preflight: list[dict[str, Any]]


class Verification(Schema):
    """The comparison of both sides before the pivot (docs/verification.md); null: none yet."""

    verification: dict[str, Any] | None


class ApprovalShape(Schema):
    act: str
    state: ApprovalState
    fingerprint: str
    requested_by: str | None
    reason: str
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    expires_at: datetime


class Approvals(Schema):
    approvals: list[ApprovalShape]


class Event(Schema):
    """As exported (docs/audit.md)."""

    chain: str
    number: int
    previous_hash: str
    at: str
    actor_id: int | None
    actor_name: str
    surface: str
    address: str
    verb: str
    target: str
    app_id: int | None
    migration_id: UUID | None
    from_status: str
    to_status: str
    reason: str
    hash: str


class Events(Schema):
    events: list[Event]
    next: str | None


class Preview(Schema):
    """The plan as it would run, how long it may take, and what preflight finds now. `ok`: nothing forbids it."""

    app_id: str
    source_region: str
    dest_region: str
    strategy: Strategy
    strategy_reason: str
    ok: bool
    estimate: dict[str, Any]
    estimates: dict[str, dict[str, Any]]
    steps: list[dict[str, Any]]
    preflight: list[dict[str, Any]]

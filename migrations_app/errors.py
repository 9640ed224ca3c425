"""The errors of the portal: one small tree, the same codes on every surface.

Each error has a stable `code` for programs, a `reason` (one sentence for the operator) and a `hint` (what to do
next). A StepError also says whether trying again can help: TransientError yes, PermanentError no.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class PortalError(Exception):
    """Something the portal can explain."""

    code = "error"

    def __init__(self, reason: str, *, hint: str = "", code: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        if code:
            self.code = code

    def __str__(self) -> str:
        return f"{self.reason} {self.hint}".strip()


class InvalidInput(PortalError):
    """What was given cannot be meant: the field and the remedy are named. Exit status 3, HTTP 400."""

    code = "invalid"


class NotFound(PortalError):
    """No such thing, or not one the caller may see. Exit status 3, HTTP 404."""

    code = "not_found"


class Unauthorized(PortalError):
    """The caller has not shown who it is. HTTP 401."""

    code = "unauthorized"


class Forbidden(PortalError):
    """The caller's role does not allow the act. Exit status 4, HTTP 403."""

    code = "forbidden"


@dataclass(frozen=True)
class Blocker:
    """One thing that forbids an act, and what to do about it."""

    code: str
    reason: str
    hint: str = ""


class Refused(PortalError):
    """A rule forbids the act now. Exit status 4, HTTP 409."""

    code = "ineligible"

    def __init__(self, blockers: Sequence[Blocker]) -> None:
        self.blockers = tuple(blockers)
        super().__init__(
            " ".join(b.reason for b in blockers),
            hint=" ".join(b.hint for b in blockers if b.hint),
            code=blockers[0].code,
        )


class StepError(PortalError):
    """A step, or a driver under it, could not do its work."""

    transient: bool


class TransientError(StepError):
    """Passing: the same act may succeed in a while (a server restarting, a lock held, a time-out)."""

    code = "transient"
    transient = True


class PermanentError(StepError):
    """Trying again gives the same answer; somebody has to change something first."""

    code = "permanent"
    transient = False


class Interrupted(BaseException):
    """The runner must let go of the move now.

    Outside Exception on purpose: no step or driver can swallow it.
    """


class LeaseLost(Interrupted):
    """Another runner holds the move; nothing this one still writes may count."""


class AbortRequested(Interrupted):
    """A person, or a deadline, wants the move undone."""


class HandedBack(Interrupted):
    """The worker is to stop: another one goes on with the move at once."""

    reason = "The worker was stopped; another one goes on."


class ApprovalVoid(Interrupted):
    """What was approved is not what would begin now: somebody has to look again."""

    def __init__(self, reason: str, findings: list[dict[str, str]]) -> None:
        super().__init__(reason)
        self.reason = reason
        self.findings = findings


class Deferred(Interrupted):
    """The step has to wait for something outside; look again in `seconds`."""

    def __init__(self, reason: str, *, seconds: float) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds

"""Runs the checks, several at once, each as soon as what it needs was found in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from migrations_app.dataplane.process import Check as Poll
from migrations_app.errors import StepError, TransientError
from migrations_app.preflight.finding import Finding, failed
from migrations_app.preflight.sight import Sight

_AT_ONCE = 8
_SECONDS = 20.0
"""How long all checks together may take."""
_POLL_SECONDS = 0.1

Answer = list[Finding] | StepError


@dataclass(frozen=True)
class Check:
    """One check. `needs`: ids of others; where one of them fails, this one is not begun: the cause is said already.

    `live_only`: what it finds makes `live` impossible, and no other strategy. `otherwise`: what is found when there is
    nothing to say.
    """

    id: str
    look: Callable[[Sight], Iterable[Finding]]
    needs: tuple[str, ...] = ()
    live_only: bool = False
    otherwise: str = ""

    @property
    def name(self) -> str:
        return self.look.__name__


class _Work:
    """One check under way, in a thread of its own: nobody can end it, so nobody has to wait for it either."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.begun = False
        self.done = threading.Event()
        self.answer: Answer | None = None
        self.broken: BaseException | None = None

    @property
    def is_in_order(self) -> bool:
        return isinstance(self.answer, list) and all(finding.outcome != "fail" for finding in self.answer)

    def run(self, sight: Sight, others: dict[str, _Work], room: threading.Semaphore) -> None:
        try:
            for need in self.check.needs:
                others[need].done.wait()
                if not others[need].is_in_order:
                    return
            with room:
                self.begun = True
                self.answer = list(self.check.look(sight))
        except StepError as error:
            self.answer = error
        except BaseException as error:  # noqa: BLE001 — look_everywhere() raises it
            self.broken = error
        finally:
            self.done.set()


def look_everywhere(checks: Iterable[Check], sight: Sight, *, poll: Poll) -> dict[str, Answer]:
    """The answer of every check that could be begun, by its id: what it found, or why it could not look.

    `poll` is called several times a second; what it raises ends the waiting, and so does what no check may raise.
    """
    works = {check.id: _Work(check) for check in checks}
    room = threading.Semaphore(_AT_ONCE)
    for work in works.values():
        threading.Thread(target=work.run, args=(sight, works, room), name=work.check.id, daemon=True).start()
    give_up_at = time.monotonic() + _SECONDS
    answers: dict[str, Answer] = {}
    for work in works.values():
        while not work.done.wait(_POLL_SECONDS) and time.monotonic() < give_up_at:
            poll()
        if work.broken:
            raise work.broken
        if work.answer is not None:
            answers[work.check.id] = work.answer
        elif work.begun:
            reason = f"{_words(work.check)} did not get an answer within {_SECONDS:.0f} s."
            answers[work.check.id] = TransientError(reason, code="preflight_unanswered")
    return answers


def findings_of(check: Check, answer: Answer, sight: Sight) -> list[Finding]:
    """What the check found, signed with its name and id; that it could not look is a finding too."""
    if isinstance(answer, StepError):
        answer = [failed(answer.reason, answer.hint or "Try again in a while.")]
    signed = [replace(finding, check=check.name, id=check.id) for finding in answer]
    if check.live_only and not sight.is_live:
        signed = [_of_no_concern(finding) for finding in signed]
    return signed or [Finding(check.name, "pass", check.otherwise, id=check.id)]


def _of_no_concern(finding: Finding) -> Finding:
    if finding.outcome != "fail":
        return finding
    return replace(finding, outcome="pass", found=f"Only live would fail: {finding.found}", remedy="")


def _words(check: Check) -> str:
    return f"{check.id} {check.name.replace('_', ' ')}"

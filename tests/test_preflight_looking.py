"""How the checks are run: all at once, none hiding another, none waited for without end."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator

import pytest

from migrations_app.dataplane.process import no_check
from migrations_app.errors import AbortRequested, PermanentError, TransientError
from migrations_app.models import App, AppMigration
from migrations_app.preflight import Unwritten, looking
from migrations_app.preflight.finding import Finding, failed, passed, warned
from migrations_app.preflight.looking import Check, findings_of, look_everywhere
from migrations_app.preflight.sight import Sight, sight_of
from migrations_app.states import Strategy
from tests import on_paper

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(db: None) -> App:
    return on_paper.app("shop")


def sight(app: App, strategy: Strategy = Strategy.SNAPSHOT) -> Sight:
    dest = on_paper.region("eu-west-1")
    return sight_of(Unwritten(AppMigration(app=app, source_region=app.region, dest_region=dest, strategy=strategy)))


def good(sight: Sight) -> Iterable[Finding]:
    return [passed("It is well.")]


def bad(sight: Sight) -> Iterable[Finding]:
    return [warned("So-so.", "Look."), failed("It is bad.", "Mend it.", "It breaks.")]


def away(sight: Sight) -> Iterable[Finding]:
    raise TransientError("It does not answer.")


def broken(sight: Sight) -> Iterator[Finding]:
    yield passed("It began well.")
    raise ZeroDivisionError


def test_every_check_that_can_be_begun_has_an_answer(app: App) -> None:
    checks = [
        Check("PF1", good),
        Check("PF2", bad),
        Check("PF3", away),
        Check("PF4", good, ("PF1",)),
        Check("PF5", good, ("PF2",)),
        Check("PF6", good, ("PF1", "PF3")),
        Check("PF7", good, ("PF6",)),
    ]
    answers = look_everywhere(checks, sight(app), poll=no_check)
    assert list(answers) == ["PF1", "PF2", "PF3", "PF4"]
    assert isinstance(answers["PF3"], TransientError)


def test_checks_run_beside_each_other(app: App) -> None:
    both = threading.Barrier(2)

    def meets(sight: Sight) -> Iterable[Finding]:
        both.wait(20)
        return []

    answers = look_everywhere([Check("PF1", meets), Check("PF2", meets)], sight(app), poll=no_check)
    assert answers == {"PF1": [], "PF2": []}


def test_a_check_that_never_answers_is_not_waited_for(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "_SECONDS", 0.5)
    for_ever = threading.Event()

    def stuck(sight: Sight) -> Iterable[Finding]:
        for_ever.wait()
        return []

    checks = [Check("PF1", stuck), Check("PF2", good), Check("PF3", good, ("PF1",))]
    try:
        answers = look_everywhere(checks, sight(app), poll=no_check)
    finally:
        for_ever.set()
    assert list(answers) == ["PF1", "PF2"]
    (finding,) = findings_of(checks[0], answers["PF1"], sight(app))
    assert (finding.outcome, finding.found.startswith("PF1 stuck")) == ("fail", True)


def test_whoever_has_to_let_go_does_not_wait(app: App) -> None:
    for_ever = threading.Event()

    def stuck(sight: Sight) -> Iterable[Finding]:
        for_ever.wait()
        return []

    def abort() -> None:
        raise AbortRequested

    with pytest.raises(AbortRequested):
        look_everywhere([Check("PF1", stuck)], sight(app), poll=abort)
    for_ever.set()


def test_a_fault_of_our_own_is_not_taken_for_a_finding(app: App) -> None:
    with pytest.raises(ZeroDivisionError):
        look_everywhere([Check("PF1", good), Check("PF2", broken)], sight(app), poll=no_check)


def test_findings_are_signed(app: App) -> None:
    check = Check("PF1", bad)
    found = findings_of(check, list(bad(sight(app))), sight(app))
    assert [(f.id, f.check, f.outcome) for f in found] == [("PF1", "bad", "warn"), ("PF1", "bad", "fail")]
    (refused,) = findings_of(check, PermanentError("No.", hint="Ask."), sight(app))
    assert (refused.id, refused.outcome, refused.found, refused.remedy) == ("PF1", "fail", "No.", "Ask.")
    (nothing,) = findings_of(Check("PF2", good, otherwise="None."), [], sight(app))
    assert (nothing.outcome, nothing.found) == ("pass", "None.")


@pytest.mark.parametrize("strategy", [Strategy.SNAPSHOT, Strategy.LIVE, Strategy.REHEARSAL])
def test_what_concerns_live_only_fails_live_only(app: App, strategy: Strategy) -> None:
    check = Check("PF1", bad, live_only=True)
    outcomes = [f.outcome for f in findings_of(check, list(bad(sight(app))), sight(app, strategy))]
    assert outcomes == ["warn", "pass" if strategy == Strategy.SNAPSHOT else "fail"]

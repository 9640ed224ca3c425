"""Twenty threads at once, on a real database: one wins, the others get the rule's answer, nothing is logged twice.

A deadlock would be an OperationalError, which no test here takes for an answer.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.db.models.functions import Now

from migrations_app import actions, audit, preflight, queries
from migrations_app.clock import database_now
from migrations_app.engine import completion, reconciler
from migrations_app.engine.journal import Journal
from migrations_app.engine.lease import claim
from migrations_app.errors import AbortRequested, Blocker, Refused
from migrations_app.models import App, AppMigration, Approval, AuditEvent, Region, SourceReplica
from migrations_app.states import WORKED, Act, ApprovalState, ReplicaState, Status
from tests.people import person

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 20
Press = Callable[[], object]
CROWD = ThreadPoolExecutor(THREADS)
several_times = pytest.mark.parametrize(
    "again", [pytest.param(n, marks=pytest.mark.slow) if n % 2 else n for n in range(5)]
)
"""For what happens only now and then."""


@pytest.fixture(scope="module", autouse=True)
def _everybody_goes_home(django_db_blocker: Any) -> Iterator[None]:
    """The threads keep their connections to the end: to log in takes longer than what they then do."""
    yield
    with django_db_blocker.unblock():
        at_once(*[connections.close_all] * THREADS)


@pytest.fixture(autouse=True)
def app(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """In `us`; whatever happens to it, the trail is whole afterwards."""
    monkeypatch.setattr(preflight, "preflight", lambda move, *checks: [])
    us, _, _ = (Region.objects.create(slug=slug, database=f"host={slug}") for slug in ("us", "eu", "ap"))
    yield App.objects.create(slug="shop", database="shop", region=us)
    assert audit.verify().problems == []


@pytest.fixture
def admin() -> User:
    return person("admin", "Admin")


def at_once(*presses: Press) -> list[str]:
    """What each was answered: done, or the code of what refused it."""
    barrier = threading.Barrier(len(presses))

    def press(act: Press) -> str:
        try:
            connection.ensure_connection()
            barrier.wait(30)
            act()
        except Refused as refused:
            return refused.code
        except AbortRequested:
            return "abort_requested"
        return "done"

    return list(CROWD.map(press, presses))


def twenty(press: Press) -> Counter[str]:
    return Counter(at_once(*[press] * THREADS))


def one_wins(refusal: str) -> Counter[str]:
    return Counter({"done": 1, refusal: THREADS - 1})


def contest(presses: dict[str, Press]) -> Counter[str]:
    """Twenty threads, the presses in turn; how often each was done."""
    names = list(presses) * (THREADS // len(presses))
    answers = at_once(*[presses[name] for name in names])
    return Counter(name for name, answer in zip(names, answers, strict=True) if answer == "done")


def request(dest: str = "eu") -> AppMigration:
    return actions.request_move(app_slug="shop", dest_slug=dest, acting_user=None, reason="a test")


def button(verb: str, move: AppMigration, by: User | None = None) -> Press:
    """That act about the move; by somebody at the portal's shell, if nobody is named."""
    more = {} if verb == "approve" else {"reason": "a test"}
    if verb == "teardown":
        more["confirm"] = "shop"
    return lambda: getattr(actions, verb)(move_id=move.pk, acting_user=by, **more)


def expire() -> None:
    if not reconciler.expire_overdue():
        raise Refused([Blocker("nothing_expired", "Nothing has expired, or somebody else saw it first.")])


def bring(move: AppMigration, status: Status, **fields: object) -> AppMigration:
    """The move with that status, as the trail has it too."""
    AppMigration.objects.filter(pk=move.pk).update(status=status, **fields)
    AuditEvent.objects.create(migration=move, app=move.app, verb="test", from_status=move.status, to_status=status)
    return queries.move(move.pk, viewer=None)


def completed() -> AppMigration:
    """A move that is over, with the replica it left."""
    move = bring(request(), Status.COMPLETED, pivot_at=Now())
    SourceReplica.objects.create(migration=move, app=move.app, region=move.source_region)
    App.objects.update(region=move.dest_region)
    AuditEvent.objects.create(migration=move, app=move.app, verb="retain", to_status=ReplicaState.RETAINED)
    return move


def ready_for(act: Act) -> AppMigration:
    """A move that the act can be asked about."""
    return completed() if act == Act.TEARDOWN else bring(request(), Status.HELD)


def worked_on(move: AppMigration) -> Journal:
    """A runner has claimed it."""
    lease = claim(AppMigration.objects.filter(status__in=WORKED), move.pk)
    assert lease
    return Journal(lease)


def logged(move: AppMigration, verb: str) -> int:
    return AuditEvent.objects.filter(migration=move, verb=verb).count()


def transitions(move: AppMigration) -> list[tuple[str, str]]:
    """The move's, as logged; each begins where the one before it ended."""
    events = AuditEvent.objects.filter(migration=move, to_status__in=list(Status)).order_by("id")
    edges = list(events.values_list("from_status", "to_status"))
    assert all(before[1] == after[0] for before, after in pairwise(edges)), edges
    move.refresh_from_db()
    assert edges[-1][1] == move.status
    return edges


# -- the same button -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", [set(), {Act.MOVE}])
def test_twenty_requests_at_once_make_one_move(settings: LazySettings, policy: set[Act]) -> None:
    settings.MOVES_FOUR_EYES = policy
    answers = at_once(*[lambda: request("eu"), lambda: request("ap")] * (THREADS // 2))
    assert Counter(answers) == one_wins("move_active")
    assert logged(AppMigration.objects.get(), "request") == 1
    assert Approval.objects.count() == len(policy)


@pytest.mark.parametrize(
    ("verb", "becomes"), [("approve", Status.QUEUED), ("reject", Status.ABORTED), ("withdraw", Status.ABORTED)]
)
def test_twenty_decisions_at_once(settings: LazySettings, admin: User, verb: str, becomes: Status) -> None:
    settings.MOVES_FOUR_EYES = {Act.MOVE}
    move = request()
    answers = twenty(button(verb, move, None if verb == "withdraw" else admin))
    assert answers == one_wins("nothing_to_decide")
    assert logged(move, verb) == 1
    assert transitions(move) == [("", "awaiting_approval"), ("awaiting_approval", becomes)]


@pytest.mark.parametrize(
    ("verb", "status", "becomes", "refusal"),
    [
        ("abort", Status.QUEUED, Status.ABORTED, "not_abortable"),
        ("abort", Status.RUNNING, Status.ABORTING, "not_abortable"),
        ("retry", Status.HELD, Status.RUNNING, "not_held"),
    ],
)
def test_twenty_times_the_same_verb_at_once(verb: str, status: Status, becomes: Status, refusal: str) -> None:
    move = request()
    if move.status != status:
        move = bring(move, status)
    assert twenty(button(verb, move)) == one_wins(refusal)
    assert (logged(move, verb), transitions(move)[-1]) == (1, (status, becomes))


def test_twenty_reverses_at_once_make_one_move() -> None:
    move = completed()
    assert twenty(button("reverse", move)) == one_wins("move_active")
    assert logged(AppMigration.objects.get(reverses=move), "reverse") == 1


def test_twenty_teardowns_at_once() -> None:
    move = completed()
    assert twenty(button("teardown", move)) == one_wins("replica_tearing_down")
    assert logged(move, "teardown") == 1


@pytest.mark.parametrize("act", [Act.ABORT, Act.RETRY, Act.TEARDOWN])
def test_twenty_requests_for_consent_at_once_are_one(act: Act, settings: LazySettings, admin: User) -> None:
    settings.MOVES_FOUR_EYES = {act}
    move = ready_for(act)
    assert twenty(button(act, move)) == one_wins("already_asked")
    assert logged(move, f"request_{act}") == 1
    assert twenty(button("approve", move, admin)) == one_wins("nothing_to_decide")
    assert logged(move, "approve") == 1


def test_twenty_workers_claim_a_move_once() -> None:
    move = request()

    def press() -> None:
        if claim(AppMigration.objects.filter(status__in=WORKED), move.pk) is None:
            raise Refused([Blocker("leased", "Another worker has it.")])

    assert twenty(press) == one_wins("leased")
    assert AppMigration.objects.get().fencing_token == 1


def test_twenty_reconcilers_let_an_approval_expire_once(settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = {Act.MOVE}
    move = request()
    Approval.objects.update(expires_at=Now() - timedelta(seconds=1))
    assert twenty(expire) == one_wins("nothing_expired")
    assert (logged(move, "expire"), transitions(move)[-1]) == (1, ("awaiting_approval", "aborted"))


# -- one decision against another ------------------------------------------------------------------------------------

OUTCOMES = {
    "approve": ApprovalState.APPROVED,
    "reject": ApprovalState.REJECTED,
    "withdraw": ApprovalState.WITHDRAWN,
    "expire": ApprovalState.EXPIRED,
    "void_request": ApprovalState.VOID,
}


def outcome(move: AppMigration) -> str:
    """The one thing that became of the one request for an act, as logged."""
    found = [verb for verb in OUTCOMES for _ in range(logged(move, verb))]
    assert [OUTCOMES[verb] for verb in found] == [Approval.objects.get().state]
    return found[0]


@pytest.mark.parametrize("overdue_in", [3600, 0.02, 0])
def test_a_request_for_a_move_has_one_outcome(settings: LazySettings, admin: User, overdue_in: float) -> None:
    """The time limit may pass while the others decide. An approved move may still be aborted: then both count."""
    settings.MOVES_FOUR_EYES = {Act.MOVE}
    move = request()
    Approval.objects.update(expires_at=Now() + timedelta(seconds=overdue_in))
    presses = {verb: button(verb, move, admin) for verb in ("approve", "reject")}
    presses |= {verb: button(verb, move) for verb in ("withdraw", "abort")}
    done = contest({**presses, "expire": expire})
    if not done:  # it ran out, and every reconciler looked before
        expire()
        done["expire"] = 1
    edges = transitions(move)[1:]
    assert done == Counter({verb: logged(move, verb) for verb in (*presses, "expire")}) + Counter()
    if done["approve"]:
        assert edges == [("awaiting_approval", "queued"), ("queued", "aborted")][: done.total()]
        assert set(done) <= {"approve", "abort"}
        assert Approval.objects.get().state == ApprovalState.APPROVED
    else:
        assert edges == [("awaiting_approval", "aborted")]
        assert [Approval.objects.get().state] == [{**OUTCOMES, "abort": ApprovalState.VOID}[verb] for verb in done]


@pytest.mark.parametrize("overdue_in", [3600, 0.02])
@pytest.mark.parametrize("act", [Act.ABORT, Act.RETRY, Act.TEARDOWN])
def test_a_request_for_an_act_has_one_outcome(settings: LazySettings, admin: User, act: Act, overdue_in: float) -> None:
    settings.MOVES_FOUR_EYES = {act}
    move = ready_for(act)
    button(act, move)()
    Approval.objects.update(expires_at=Now() + timedelta(seconds=overdue_in))
    presses = {verb: button(verb, move, admin) for verb in ("approve", "reject")}
    done = contest({**presses, "withdraw": button("withdraw", move), "expire": expire})
    if not done:
        expire()
        done["expire"] = 1
    assert done == Counter([outcome(move)])
    became = {Act.ABORT: ("held", "aborting"), Act.RETRY: ("held", "running")}
    assert transitions(move)[2:] == ([became[act]] if act in became and done["approve"] else [])
    assert SourceReplica.objects.filter(state=ReplicaState.TEARING_DOWN).exists() is (
        act == Act.TEARDOWN and done["approve"] == 1
    )


@several_times
def test_a_consent_runs_out_or_the_move_is_aborted(settings: LazySettings, admin: User, again: int) -> None:
    settings.MOVES_FOUR_EYES = {Act.MOVE}
    move = request()
    button("approve", move, admin)()
    Approval.objects.update(expires_at=Now() - timedelta(seconds=1))
    done = contest({"abort": button("abort", move), "expire": expire})
    assert done.total() == logged(move, "abort") + logged(move, "expire") == 1
    assert transitions(move)[2:] == [("queued", "aborted")]
    assert Approval.objects.get().state == (ApprovalState.EXPIRED if done["expire"] else ApprovalState.APPROVED)


@several_times
def test_an_abort_leaves_no_request_for_a_retry(settings: LazySettings, admin: User, again: int) -> None:
    settings.MOVES_FOUR_EYES = {Act.RETRY}
    move = ready_for(Act.RETRY)
    button("retry", move)()
    Approval.objects.update(expires_at=Now() + timedelta(seconds=0.02))
    done = contest({"abort": button("abort", move), "approve": button("approve", move, admin), "expire": expire})
    assert (done["abort"], logged(move, "abort")) == (1, 1)
    resumed = [("held", "running"), ("running", "aborting")]
    assert transitions(move)[2:] == (resumed if outcome(move) == "approve" else [("held", "aborting")])


@several_times
def test_a_consent_counts_for_what_was_seen_only(settings: LazySettings, admin: User, again: int) -> None:
    """A retry waits; somebody rejects it and asks for an abort instead, while others approve what they see."""
    settings.MOVES_FOUR_EYES = {Act.RETRY, Act.ABORT}
    move = ready_for(Act.RETRY)
    button("retry", move)()
    seen = Approval.objects.get().fingerprint

    def approve() -> None:
        actions.approve(move_id=move.pk, acting_user=admin, seen=seen)

    def ask_for_another() -> None:
        with transaction.atomic():  # whoever has read the first request meets the second under the lock
            button("reject", move, admin)()
            button("abort", move)()

    at_once(*[ask_for_another, approve] * (THREADS // 2))
    assert not Approval.objects.filter(act=Act.ABORT, state=ApprovalState.APPROVED).exists()
    assert transitions(move)[2:] in ([], [("held", "running")])


# -- one act against another -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", range(0, THREADS, 4))
@pytest.mark.parametrize("policy", [set(), {Act.ABORT}])
def test_either_the_pivot_or_an_abort_wins(settings: LazySettings, admin: User, policy: set[Act], place: int) -> None:
    """An abort at once, or one that waits for consent and gets it."""
    settings.MOVES_FOUR_EYES = policy
    move = bring(request(), Status.RUNNING, current_step="flipping_routing")
    journal = worked_on(move)
    if policy:
        button("abort", move)()
    aborts = [button("approve", move, admin) if policy else button("abort", move)] * (THREADS - 1)
    answers = at_once(*aborts[:place], journal.pass_pivot, *aborts[place:])
    pivot, others = answers.pop(place), Counter(answers)
    region = App.objects.get().region.slug
    if pivot == "done":
        assert others == Counter({"past_pivot": THREADS - 1})
        assert transitions(move)[2:] == []
        assert (bool(move.pivot_at), region) == (True, "eu")
    else:
        assert pivot == "abort_requested"
        assert others == Counter({"done": 1, "nothing_to_decide" if policy else "not_abortable": THREADS - 2})
        assert transitions(move)[2:] == [("running", "aborting")]
        assert (move.pivot_at, region) == (None, "us")
    assert logged(move, "pass_pivot") + logged(move, "approve" if policy else "abort") == 1


def test_either_a_reverse_or_a_teardown_gets_the_replica() -> None:
    move = completed()
    answers = at_once(*[button("reverse", move), button("teardown", move)] * (THREADS // 2))
    reversals = AppMigration.objects.filter(reverses=move).count()
    torn_down = SourceReplica.objects.get().state == ReplicaState.TEARING_DOWN
    assert Counter(answers) == one_wins("replica_tearing_down" if torn_down else "move_active")
    assert (reversals, logged(move, "teardown")) == ((0, 1) if torn_down else (1, 0))


@several_times
def test_a_replica_is_kept_until_it_is_torn_down_and_comments_stand_in_nobodys_way(admin: User, again: int) -> None:
    move, until = completed(), database_now() + timedelta(days=9)

    def keep() -> None:
        actions.keep(move_id=move.pk, acting_user=admin, until=until)

    def comment() -> None:
        actions.comment(move_id=move.pk, acting_user=admin, text="a test")

    names = ["keep", "teardown", "comment", "keep"] * (THREADS // 4)
    presses = {"keep": keep, "teardown": button("teardown", move), "comment": comment}
    answers = Counter(zip(names, at_once(*[presses[name] for name in names]), strict=True))
    kept = answers["keep", "done"]
    assert (answers["teardown", "done"], answers["comment", "done"]) == (1, THREADS // 4)
    assert answers["keep", "replica_tearing_down"] == THREADS // 2 - kept
    assert (logged(move, "keep"), logged(move, "teardown")) == (kept, 1)
    events = AuditEvent.objects.filter(migration=move, verb__in=["keep", "teardown"]).order_by("number")
    assert list(events.values_list("verb", flat=True)) == ["keep"] * kept + ["teardown"]


def test_a_held_move_is_retried_once_and_aborted_once() -> None:
    """Whoever comes first: an abort ends it, a retry leaves it open to one."""
    move = bring(request(), Status.HELD)
    done = contest({"retry": button("retry", move), "abort": button("abort", move)})
    edges = transitions(move)[2:]
    assert edges in ([("held", "running"), ("running", "aborting")], [("held", "aborting")])
    assert done == Counter(abort=1, retry=len(edges) - 1) + Counter()
    assert (logged(move, "abort"), logged(move, "retry")) == (1, len(edges) - 1)


@several_times
@pytest.mark.parametrize("verb", ["teardown", "approve", "reject", "withdraw", "expire"])
def test_a_reverse_is_completed_whatever_becomes_of_the_teardown(
    settings: LazySettings, admin: User, verb: str, again: int
) -> None:
    """The replica serves again: nobody tears it down, and a request to do so is declined or void, not both."""
    settings.MOVES_FOUR_EYES = {Act.TEARDOWN} if verb != "teardown" else frozenset()
    move = completed()
    if verb != "teardown":
        button("teardown", move)()
    if verb == "expire":
        Approval.objects.update(expires_at=Now() - timedelta(seconds=1))
    button("reverse", move)()
    reversal = bring(AppMigration.objects.get(reverses=move), Status.RUNNING)
    journal = worked_on(reversal)
    journal.pass_pivot()
    by = admin if verb in ("approve", "reject") else None
    others = [expire if verb == "expire" else button(verb, move, by)] * (THREADS - 1)
    place = again * len(others) // 4
    answers = at_once(*others[:place], lambda: completion.complete(journal), *others[place:])
    assert answers.pop(place) == "done"
    states = dict(SourceReplica.objects.values_list("migration__kind", "state"))
    assert states == {"move": ReplicaState.REVERSED, "reverse": ReplicaState.RETAINED}
    assert transitions(reversal)[-1] == ("running", "completed")
    if verb == "teardown":
        assert set(answers) <= {"move_active", "replica_reversed"}
    else:
        assert outcome(move) == (verb if "done" in answers else "void_request")
        assert verb != "approve" or set(answers) <= {"move_active", "replica_reversed", "nothing_to_decide"}

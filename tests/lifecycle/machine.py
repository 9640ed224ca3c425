"""The state machine: people, workers, the reconciler and time, in any order."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from typing import Any, TypeVar

from django.db import transaction
from django.db.models.functions import Now
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from migrations_app import actions, audit
from migrations_app.clock import database_now
from migrations_app.engine import reconciler
from migrations_app.engine.executor import run_move
from migrations_app.engine.teardown import run_teardown
from migrations_app.errors import Forbidden, NotFound, PermanentError, Refused, TransientError
from migrations_app.models import AppMigration, Approval, AuditEvent, Region, SourceReplica
from migrations_app.move import Move
from migrations_app.states import Act
from tests.lifecycle.books import MoveRow, ReplicaRow, read
from tests.lifecycle.forecast import Circumstances, Person
from tests.lifecycle.laws import Laws
from tests.lifecycle.world import Fate, World, wait

APPS = {"shop": "reds", "forum": "blues", "notes": ""}
REGIONS = ("us", "eu", "ap")
TEAMS, ROLES = ("reds", "blues"), ("Viewer", "Requester", "Approver", "Operator", "Admin")
NAMES: list[str | None] = [None, *(f"{role.lower()}-{team}" for role in ROLES for team in TEAMS)]

WORKED = ("queued", "running", "aborting")
T = TypeVar("T")
LONG_AGO = timedelta(hours=2)

mostly = st.sampled_from([True, True, True, False])
rarely = st.sampled_from([False, False, False, False, False, True])
which = st.integers(0, 999)
policies = st.one_of(st.just(frozenset({Act.MOVE, Act.TEARDOWN})), st.frozensets(st.sampled_from(list(Act))))

ACTS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "request": {"near": mostly, "nth": which, "later": rarely},
    "approve": {"near": mostly, "nth": which, "stale": rarely, "own": rarely},
    "look_again": {"near": mostly, "nth": which},
    "stop": {"verb": st.sampled_from(["abort", "reject", "withdraw"]), "near": mostly, "nth": which},
    "follow_up": {"verb": st.sampled_from(["retry", "reverse", "teardown"]), "near": mostly, "nth": which},
    "work": {"nth": which, "rested": mostly},
    "work_in_trouble": {
        "nth": which,
        "well": st.integers(0, 7),
        "trouble": st.sampled_from(["wait", "passing", "lasting", "lasting", "death", "abort", "overtaken"]),
        "late": st.booleans(),
        "times": st.integers(1, 3),
        "more": st.integers(0, 3),
    },
    "work_on_teardown": {
        "nth": which,
        "rested": mostly,
        "trouble": st.sampled_from(["none", "passing", "death"]),
        "late": st.booleans(),
    },
    "time_passes": {"nth": which, "what": st.sampled_from(["approval", "block", "nothing"])},
    "region_is_edited": {"region": st.sampled_from(REGIONS), "number": st.integers(0, 1), "closed": rarely},
    "preflight_finds": {
        "region": st.sampled_from(REGIONS),
        "found": st.sampled_from(["", "", "slow", "slower", "full"]),
    },
}
RARE = ["look_again", "stop", "time_passes", "region_is_edited", "preflight_finds"]
"""An example does without some of these."""


def acts(machine: Lifecycle) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    """What may come next; what gets somewhere comes more often than what will be refused.

    One rule for all: of many, Hypothesis leaves out half at a time, and nothing gets far.
    """
    books = machine.books
    statuses = [move.status for move in books.moves.values()]
    replicas = [replica.state for replica in books.replicas.values()]
    waiting = [approval.state for approval in books.approvals.values()].count("open")
    free = [app for app in APPS if not (books.active_of(app) or books.open_replica_of(app))]
    names = ["request"] * (1 + len(free))
    if statuses:
        names += [name for name in ACTS if name not in ("request", "work_in_trouble", "work_on_teardown")]
        names += ["approve"] * (2 * waiting) + ["follow_up"] * (3 * statuses.count("held") + replicas.count("retained"))
        names += ["work_on_teardown"] * replicas.count("tearing_down")
        names += ["work_in_trouble"] * 2 * len([status for status in statuses if status in WORKED])
        names += ["region_is_edited", "preflight_finds"] * statuses.count("queued")
        names += ["time_passes"] * statuses.count("running")
    chosen = [name for name in names if name not in machine.absent]
    return st.sampled_from(chosen).flatmap(lambda name: st.tuples(st.just(name), st.fixed_dictionaries(ACTS[name])))


class WorkerDied(Exception):
    """No error of a step's: whatever the worker was doing, it does no more."""


@dataclass
class Stage:
    """What all examples share."""

    world: World
    people: dict[str | None, Person]
    set_policy: Callable[[frozenset[str]], None]
    rung: list[str]
    """Ids of the rows the bell was rung for."""
    walked: set[tuple[str, str]] = field(default_factory=set)
    """Every transition seen."""


class Lifecycle(RuleBasedStateMachine):
    """One example: in a transaction that is rolled back at its end."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self.stage, self.world = stage, stage.world
        self.transaction = transaction.atomic()
        self.transaction.__enter__()
        self.before = self.books = self.checked = read(AuditEvent.objects.values_list("id", flat=True).first() or 0)
        self.world.begin_anew(self.books.homes)
        self.laws = Laws(self.world, stage.people, APPS, stage.walked)
        self.four_eyes = self.absent = frozenset[str]()

    def teardown(self) -> None:
        try:
            assert audit._verdict(AuditEvent.objects.all(), AppMigration.objects.all()).problems == []
        finally:
            transaction.set_rollback(True)
            self.transaction.__exit__(None, None, None)

    @initialize(policy=policies, absent=st.frozensets(st.sampled_from(RARE)))
    def begin(self, policy: frozenset[str], absent: frozenset[str]) -> None:
        self.four_eyes, self.absent = policy, absent
        self.stage.set_policy(policy)

    @rule(act=st.runner().flatmap(acts))
    def act(self, act: tuple[str, dict[str, Any]]) -> None:
        name, how = act
        getattr(self, f"_{name}")(**how)

    @invariant()
    def laws_hold(self) -> None:
        if self.books is not self.checked:
            self.laws.check(self.before, self.books)
            self.checked = self.books

    # -- people: `near` is somebody who may, about something that allows it, if there is ------------------------

    def _request(self, near: bool, nth: int, later: bool) -> None:
        forecast = self._circumstances().request
        places = [(who, app, dest) for app in APPS for dest in REGIONS for who in self.stage.people.values()]
        who, app, dest = _pick(places, nth, lambda place: near and not forecast(*place))
        not_before = database_now() + timedelta(days=1) if later else None
        if self._attempt(
            forecast(who, app, dest),
            lambda: actions.request_move(
                app_slug=app, dest_slug=dest, acting_user=who.user, reason="a test", not_before=not_before
            ),
        ):
            self._one_event("request", who)
            (move,) = self.books.active_of(app)
            assert move.status == ("awaiting_approval" if Act.MOVE in self.four_eyes else "queued")
            assert move.resting is later

    def _approve(self, near: bool, nth: int, stale: bool, own: bool) -> None:
        """`stale`: with another fingerprint than that of what there is; `own`: by who asked for it."""

        def forecast(who: Person, move: MoveRow) -> set[str]:
            changed = stale or (move.id in waiting and self.laws.has_changed(waiting[move.id], self.books))
            return self._circumstances().approve(who, move, changed=changed)

        waiting = {a.move: a for a in self.books.approvals.values() if a.state == "open"}
        who, move = self._choose(near, nth, lambda who, move: forecast(who, move) - {"changed_since_seen"})
        if own and move.id in waiting:
            who = self.stage.people[waiting[move.id].asked_by]
        expected = forecast(who, move)
        done = self._attempt(
            expected, lambda: actions.approve(move_id=move.id, acting_user=who.user, seen="old" if stale else "")
        )
        if expected == {"changed_since_seen"}:
            self.laws.see(waiting[move.id], self.books)
        if done:
            self._one_event("approve", who)

    def _look_again(self, near: bool, nth: int) -> None:
        def forecast(who: Person, move: MoveRow) -> set[str]:
            return self._circumstances().stranger(who, "approve", move.app)

        who, move = self._choose(near, nth, forecast)
        done = self._attempt(forecast(who, move), lambda: actions.look_again(move_id=move.id, acting_user=who.user))
        assert self.books.same(self.before)
        waiting = self.books.asked_about(move.id)
        if done and waiting and move.status == "awaiting_approval":
            self.laws.see(waiting, self.books)

    def _stop(self, verb: str, near: bool, nth: int) -> None:
        self._do(verb, near, nth)

    def _follow_up(self, verb: str, near: bool, nth: int) -> None:
        self._do(verb, near, nth)

    # -- workers ------------------------------------------------------------------------------------------------

    def _work(self, nth: int, rested: bool) -> None:
        """A worker looks at a move, due or not."""
        if rested:
            self._let_time_pass()
        move = self._pick_worked(nth)
        run_move(move.id)
        self._look()
        after = self.books.moves[move.id]
        if move.status in WORKED and not (move.resting or move.leased):
            assert after.resting or after.status not in WORKED, "it stopped half-way"
        else:
            assert self.books.same(self.before)

    def _work_in_trouble(self, nth: int, well: int, trouble: str, late: bool, times: int, more: int) -> None:
        """A worker looks at a move; some steps go well, then there is trouble, some more go well, and it waits."""
        self._let_time_pass()
        move = self._pick_worked(nth)
        strikes = times if trouble in ("passing", "lasting") else 1
        for _ in range(times if trouble == "death" else 1):
            self.world.fate = Fate(well, self._trouble(trouble), late, strikes, more)
            with suppress(WorkerDied):
                run_move(move.id)
                break
            AppMigration.objects.filter(pk=move.id).update(lease_expires_at=Now() - LONG_AGO)
            well = 0
        self.world.fate = Fate()
        self._look()

    def _work_on_teardown(self, nth: int, rested: bool, trouble: str, late: bool) -> None:
        if rested:
            self._let_time_pass()
        doomed = [replica for replica in self.books.replicas.values() if replica.state == "tearing_down"]
        replica = doomed[nth % len(doomed)]
        self.world.fate = Fate() if trouble == "none" else Fate(0, self._trouble(trouble), late)
        with suppress(WorkerDied):
            run_teardown(replica.id)
        self.world.fate = Fate()
        self._look()
        if replica.resting or replica.leased:
            assert self.books.same(self.before)
        elif trouble == "none":
            assert self.books.replicas[replica.move].state == "torn_down"

    # -- time, the reconciler, and what changes elsewhere ---------------------------------------------------------

    def _time_passes(self, nth: int, what: str) -> None:
        """An approval runs out, or writes stay blocked for too long; the reconciler goes its round."""
        approvals = [a for a in self.books.approvals.values() if a.state in ("open", "approved")]
        blocked = AppMigration.objects.filter(writes_blocked_at__isnull=False, pivot_at__isnull=True)
        if what == "approval" and approvals:
            Approval.objects.filter(pk=approvals[nth % len(approvals)].id).update(expires_at=Now() - LONG_AGO)
        if what == "block":
            blocked.update(writes_blocked_at=Now() - LONG_AGO)
        if nth % 2:
            self._look()
            self._reconcile()
        self._look()

    def _region_is_edited(self, region: str, number: int, closed: bool) -> None:
        Region.objects.filter(slug=region).update(database=f"host={region}-{number}", accepts_moves=not closed)
        self._look()

    def _preflight_finds(self, region: str, found: str) -> None:
        outcome = {"": "pass", "full": "fail"}.get(found, "warn")
        self.world.findings[region] = outcome, found
        self._look()

    # -- shared -------------------------------------------------------------------------------------------------

    def _do(self, verb: str, near: bool, nth: int) -> None:
        """One of the verbs that are about a move and ask for nothing more."""
        forecast: Callable[[Person, MoveRow], set[str]] = getattr(self._circumstances(), verb)
        who, move = self._choose(near, nth, forecast)
        more = {"confirm": move.app} if verb == "teardown" else {}
        act = getattr(actions, verb)
        if self._attempt(
            forecast(who, move), lambda: act(move_id=move.id, acting_user=who.user, reason="a test", **more)
        ):
            if verb == "reverse" and move.status == "held":
                self._went_back(who)
                return
            asks = verb in self.four_eyes and verb != "reverse"
            self._one_event(f"request_{verb}" if asks else verb, who)
            after = self.books.moves[move.id]
            if after.status != move.status and after.status in WORKED:
                assert not after.resting, "it was let go on, and waits"

    def _attempt(self, expected: set[str], act: Callable[[], object]) -> bool:
        """Whether it was done. What is refused is refused for the reasons foretold, and changes nothing."""
        got: set[str] = set()
        try:
            act()
        except (NotFound, Forbidden) as error:
            got = {error.code}
        except Refused as refused:
            got = {blocker.code for blocker in refused.blockers}
        self._look()
        assert got == expected
        assert not got or self.books.same(self.before), "something was refused and done"
        return not got

    def _one_event(self, verb: str, who: Person) -> None:
        """Besides that, the trail says only what has lost its point by it."""
        events = [event for event in self.books.events if event.verb != "void_request"]
        assert [(event.verb, event.actor) for event in events] == [(verb, who.name)]

    def _went_back(self, who: Person) -> None:
        """From a held move: it is undone itself, or it ends, leaves a replica, and a reverse takes over."""
        events = [(event.verb, event.actor) for event in self.books.events if event.verb != "void_request"]
        assert events in (
            [("go_back", who.name)],
            [("retain", None), ("reverse", who.name), ("reverse", who.name)],
            [("reversed", None), ("retain", None), ("reverse", who.name), ("reverse", who.name)],
        )

    def _look(self) -> None:
        self.before, self.books = self.books, read(self.books.last)

    def _reconcile(self) -> None:
        self.stage.rung.clear()
        reconciler.one_round()
        now = read(self.books.last)
        moves, replicas = now.moves.values(), now.replicas.values()
        for approval in now.approvals.values():
            waits = approval.state == "open" or (
                approval == now.consent_to_start(approval.move) and now.moves[approval.move].status == "queued"
            )
            assert not (approval.overdue and waits), "nobody let it expire"
        for move in moves:
            looked_after = move.leased or move.resting or move.pivot or move.undoing
            assert looked_after or not (move.overran and move.status in ("running", "held")), "nobody ended the block"
        due = [move.id for move in moves if move.status in WORKED and not (move.resting or move.leased)]
        due += [str(r.id) for r in replicas if r.state == "tearing_down" and not (r.resting or r.leased)]
        assert sorted(self.stage.rung) == sorted(due)

    def _circumstances(self) -> Circumstances:
        failing = frozenset(region for region, (outcome, _) in self.world.findings.items() if outcome == "fail")
        return Circumstances(self.books, self.four_eyes, APPS, failing)

    def _choose(self, near: bool, nth: int, forecast: Callable[[Person, MoveRow], set[str]]) -> tuple[Person, MoveRow]:
        newest = list(self.books.moves.values())[-6:]
        pairs = [(who, move) for who in self.stage.people.values() for move in newest]
        return _pick(pairs, nth, lambda pair: near and not forecast(*pair))

    def _pick_worked(self, nth: int) -> MoveRow:
        return _pick(list(self.books.moves.values()), nth, lambda move: move.status in WORKED)

    def _let_time_pass(self) -> None:
        """All is due, and the leases of dead workers have run out."""
        moves, replicas = self.books.moves.values(), self.books.replicas.values()
        if any(row.resting or row.leased for row in chain[MoveRow | ReplicaRow](moves, replicas)):
            for rows in (AppMigration.objects.all(), SourceReplica.objects.all()):
                rows.update(due_at=Now(), lease_expires_at=Now() - LONG_AGO)
            self._look()

    def _trouble(self, kind: str) -> Callable[[Move], None]:
        return {
            "wait": wait,
            "passing": _raiser(TransientError("It may pass.")),
            "lasting": _raiser(PermanentError("It will not pass.")),
            "death": _raiser(WorkerDied()),
            "abort": self._abort_meanwhile,
            "overtaken": self._overtake,
        }[kind]

    def _abort_meanwhile(self, move: Move) -> None:
        with suppress(Refused):
            actions.abort(move_id=move.row.pk, acting_user=None, reason="a test")

    def _overtake(self, move: Move) -> None:
        """The lease runs out, and another worker goes on for two steps."""
        AppMigration.objects.filter(pk=move.row.pk).update(lease_expires_at=Now() - LONG_AGO)
        self.world.fate = Fate(2)
        run_move(move.row.pk)
        move.lease.taken_over.set()  # type: ignore[attr-defined]


def _pick(candidates: list[T], nth: int, fits: Callable[[T], bool]) -> T:
    """The nth, or the next one that fits, if there is one."""
    start = nth % len(candidates)
    return next(filter(fits, candidates[start:] + candidates[:start]), candidates[start])


def _raiser(error: BaseException) -> Callable[[Move], None]:
    def trouble(move: Move) -> None:
        raise error

    return trouble

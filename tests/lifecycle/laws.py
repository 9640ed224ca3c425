"""What holds after every act, whatever was done: checked on the books and on the model of the regions."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.lifecycle.books import ApprovalRow, Books, Event, MoveRow
from tests.lifecycle.forecast import DECIDERS, SEE_EVERY_TEAM, Person
from tests.lifecycle.world import World
from tests.test_states import ALLOWED

FIRST = {("", "awaiting_approval"), ("", "queued")}
REPLICA_EDGES = {
    ("", "retained"),
    ("retained", "reversed"),
    ("retained", "tearing_down"),
    ("tearing_down", "torn_down"),
}
BEGUN = {"queued", "running", "held", "aborting", "completed"}
MAY_WAIT = {
    "move": {"awaiting_approval"},
    "reverse": {"awaiting_approval"},
    "abort": {"awaiting_approval", "queued", "running", "held"},
    "retry": {"held"},
    "teardown": {"completed", "failed"},
}
"""In which status of the move a request for consent to the act has a point."""


@dataclass
class Laws:
    """`walked` collects every transition seen, of all examples."""

    world: World
    people: dict[str | None, Person]
    owners: dict[str, str]
    walked: set[tuple[str, str]]
    status: dict[str, str] = field(default_factory=dict)
    """Of moves, as the trail tells it."""
    replica: dict[str, str] = field(default_factory=dict)
    """State of the replicas of moves, as the trail tells it."""
    ends_as: dict[str, str] = field(default_factory=dict)
    """How the undoing of moves is to end."""
    needs_consent: set[str] = field(default_factory=set)
    """Moves that began by waiting for it."""
    seen: dict[int, object] = field(default_factory=dict)
    """What was there to see when consent was asked for, by approval."""

    def check(self, before: Books, now: Books) -> None:
        for event in now.events:
            self._follow(event, before, now)
        assert self.status == {move.id: move.status for move in now.moves.values()}, "the trail tells another story"
        assert self.replica == {replica.move: replica.state for replica in now.replicas.values()}
        for approval in now.approvals.values():
            self._check_approval(approval, now)
        self._check_voided(before, now)
        for move in now.moves.values():
            self._check_move(move, before, now)
        for app in now.homes:
            self._check_app(app, now)

    def see(self, approval: ApprovalRow, books: Books) -> None:
        self.seen[approval.id] = self._sight(approval, books)

    def has_changed(self, approval: ApprovalRow, books: Books) -> bool:
        return self.seen[approval.id] != self._sight(approval, books)

    def _sight(self, approval: ApprovalRow, books: Books) -> object:
        """What somebody who consents to the act consents to."""
        act, move = approval.act, books.moves[approval.move]
        regions = books.regions[move.source][0], books.regions[move.dest][0]
        finding = self.world.finding(move.dest) if act in ("move", "reverse") else None
        return regions, finding

    def _follow(self, event: Event, before: Books, now: Books) -> None:
        if not (event.move and event.after):
            return
        edge = event.before, event.after
        if event.after in ("retained", "reversed", "tearing_down", "torn_down"):
            assert edge in REPLICA_EDGES
            assert self.replica.get(event.move, "") == event.before
            self.replica[event.move] = event.after
            return
        took_over = event.verb == "reverse" and edge == ("", "running")
        assert took_over or edge in ALLOWED | FIRST, f"{edge} is no edge"
        assert self.status.get(event.move, "") == event.before, "a transition is missing, or there twice"
        if edge == ("", "awaiting_approval"):
            self.needs_consent.add(event.move)
        if edge == ("queued", "running"):
            self._check_start(now.moves[event.move], before)
        approved = event.verb == "approve" and before.open_about(event.move) == "abort"
        if event.after == "aborting" and (approved or event.verb in ("abort", "fail", "go_back")):
            self.ends_as[event.move] = "failed" if event.verb == "fail" else "aborted"
        if event.before == "aborting" and event.after != "held" and event.move in self.ends_as:
            assert event.after == self.ends_as[event.move]
        self.status[event.move] = event.after
        self.walked.add(edge)

    def _check_start(self, move: MoveRow, before: Books) -> None:
        consent = before.consent_to_start(move.id)
        if consent:
            assert not consent.overdue, "it began after its approval had expired"
            assert not self.has_changed(consent, before), "it began, but not as approved"
        assert bool(consent) == (move.id in self.needs_consent)

    def _check_approval(self, approval: ApprovalRow, now: Books) -> None:
        move = now.moves[approval.move]
        if approval.id not in self.seen:
            self.see(approval, now)
        if approval.state == "approved":
            assert approval.decided_by is not None
            assert approval.decided_by != approval.asked_by, "somebody approved their own request"
            approver = self.people[approval.decided_by]
            assert approver.role in DECIDERS
            assert approver.role in SEE_EVERY_TEAM or approver.team == self.owners[move.app]
        if approval.state == "open":
            assert move.status in MAY_WAIT[approval.act], f"{approval.act} waits, and the move is {move.status}"
            if approval.act == "teardown":
                assert now.replicas[move.id].state == "retained", "a replica that is given up waits for a decision"

    def _check_voided(self, before: Books, now: Books) -> None:
        """A request that has lost its point is logged as void, once. One to begin a move ends with a transition."""
        known = {approval.id: approval.state for approval in before.approvals.values()}
        voided = [
            approval.move
            for approval in now.approvals.values()
            if approval.state == "void" and known.get(approval.id, "open") == "open"
            if approval.act not in ("move", "reverse")
        ]
        logged = [event for event in now.events if event.verb == "void_request"]
        assert sorted(voided) == sorted(event.move or "" for event in logged)
        assert not any(event.before or event.after for event in logged)

    def _check_move(self, move: MoveRow, before: Books, now: Books) -> None:
        if move.id in self.needs_consent and move.status in BEGUN:
            assert now.consent_to_start(move.id), "it goes on without a second person's consent"
        if move.status == "awaiting_approval":
            asked = now.asked_about(move.id)
            assert asked
            assert asked.act == move.kind
        left_a_replica = move.status == "completed" or (move.status == "failed" and move.pivot)
        assert left_a_replica is (move.id in now.replicas)
        if move.kind == "reverse" and move.id not in before.moves:
            assert move.reverses
            took_over = before.moves[move.reverses].status == "held"
            there = now.replicas if took_over else before.replicas
            assert there[move.reverses].state == "retained", "a reverse without a replica to go back to"

    def _check_app(self, app: str, now: Books) -> None:
        active = now.active_of(app)
        assert len(active) <= 1, "two moves of one app"
        writable = self.world.writable(app)
        assert len(writable) <= 1, f"{app} is writable in {writable}"
        if active:
            return
        home, replica = now.homes[app], now.open_replica_of(app)
        assert writable == [home], "the app stands still, and its region does not take its writes"
        copies = self.world.copies(app)
        if replica and replica.state == "retained":
            assert set(copies) == {home, replica.region}, "something was left behind"
            assert copies[replica.region].follows
            assert copies[replica.region].rows == copies[home].rows == self.world.acknowledged[app]
        elif replica:
            assert set(copies) <= {home, replica.region}
        else:
            assert set(copies) == {home}, "something was left behind"

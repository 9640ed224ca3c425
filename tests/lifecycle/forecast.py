"""What each act should answer, foretold by hand from the books: independent of rules.py and permissions.py.

Every function returns the codes of what forbids the act; an empty set: it will be done.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import User

from tests.lifecycle.books import ApprovalRow, Books, MoveRow

REQUESTERS, DECIDERS = {"Requester", "Operator", "Admin"}, {"Approver", "Admin"}
MAY = {
    "request": REQUESTERS,
    "abort": REQUESTERS,
    "reverse": REQUESTERS,
    "retry": {"Operator", "Admin"},
    "teardown": {"Operator", "Admin"},
    "approve": DECIDERS,
    "reject": DECIDERS,
    "withdraw": {"Viewer", "Requester", "Approver", "Operator", "Admin"},
}
SEE_EVERY_TEAM = {"Operator", "Admin"}


@dataclass(frozen=True)
class Person:
    """Without a user: somebody at the portal's own shell."""

    name: str | None
    role: str
    team: str
    user: User | None

    def __repr__(self) -> str:
        return self.name or "the shell"


@dataclass(frozen=True)
class Circumstances:
    """What acts depend on besides the books."""

    books: Books
    four_eyes: frozenset[str]
    owners: dict[str, str]
    failing: frozenset[str]
    """Regions that preflight finds a fault with."""

    def stranger(self, who: Person, verb: str, app: str) -> set[str]:
        """What role and team say."""
        if who.user is None:
            return {"forbidden"} if verb in ("approve", "reject") else set()
        if who.role not in SEE_EVERY_TEAM and who.team != self.owners[app]:
            return {"unknown_app" if verb == "request" else "unknown_migration"}
        return set() if who.role in MAY[verb] else {"forbidden"}

    def request(self, who: Person, app: str, dest: str) -> set[str]:
        if refused := self.stranger(who, "request", app):
            return refused
        books = self.books
        return (
            _if(bool(books.active_of(app)), "move_active")
            | _if(books.homes[app] == dest, "same_region")
            | self._closed(books.homes[app], dest)
            | _if(books.open_replica_of(app) is not None, "replica_retained")
        ) or _if("move" in self.four_eyes and dest in self.failing, "preflight_failed")

    def reverse(self, who: Person, move: MoveRow) -> set[str]:
        if refused := self.stranger(who, "reverse", move.app):
            return refused
        if move.status == "held" and move.pivot:
            return _if(move.way_back and move.source in self.failing, "preflight_failed")
        if move.status != "completed" and not (move.status == "failed" and move.id in self.books.replicas):
            return {"not_completed"}
        if refused := self._replica_gone(move):
            return refused
        home = self.books.homes[move.app]
        return (
            _if(bool(self.books.active_of(move.app)), "move_active")
            | _if(home == move.source, "same_region")
            | self._closed(home, move.source)
        ) or _if("reverse" in self.four_eyes and move.source in self.failing, "preflight_failed")

    def abort(self, who: Person, move: MoveRow) -> set[str]:
        return self.stranger(who, "abort", move.app) or self._cannot_abort(move) or self._asked_already("abort", move)

    def retry(self, who: Person, move: MoveRow) -> set[str]:
        return self.stranger(who, "retry", move.app) or self._cannot_retry(move) or self._asked_already("retry", move)

    def teardown(self, who: Person, move: MoveRow) -> set[str]:
        return (
            self.stranger(who, "teardown", move.app)
            or self._cannot_tear_down(move)
            or self._asked_already("teardown", move)
        )

    def reject(self, who: Person, move: MoveRow) -> set[str]:
        return self._decide(who, "reject", move)[0]

    def withdraw(self, who: Person, move: MoveRow) -> set[str]:
        return self._decide(who, "withdraw", move)[0]

    def _decide(self, who: Person, verb: str, move: MoveRow) -> tuple[set[str], ApprovalRow | None]:
        """With what is to be decided on."""
        waiting = self.books.asked_about(move.id)
        if refused := self.stranger(who, verb, move.app):
            return refused, waiting
        if waiting is None:
            return {"nothing_to_decide"}, None
        if waiting.overdue:
            return {"expired"}, waiting
        if verb == "approve":
            return _if(waiting.asked_by == who.name, "own_request"), waiting
        return _if(verb == "withdraw" and waiting.asked_by != who.name, "not_own_request"), waiting

    def approve(self, who: Person, move: MoveRow, *, changed: bool) -> set[str]:
        """`changed`: what the approver has seen is not what there is."""
        refused, waiting = self._decide(who, "approve", move)
        if refused or waiting is None:
            return refused
        cannot = {
            "abort": self._cannot_abort,
            "retry": self._cannot_retry,
            "teardown": self._cannot_tear_down,
            "move": lambda move: self._closed(move.source, move.dest),
            "reverse": lambda move: self._closed(move.source, move.dest),
        }[waiting.act](move)
        if cannot or changed:
            return cannot or {"changed_since_seen"}
        return _if(waiting.act in ("move", "reverse") and move.dest in self.failing, "preflight_failed")

    def _cannot_abort(self, move: MoveRow) -> set[str]:
        if not move.active or move.status == "aborting":
            return {"not_abortable"}
        return _if(move.pivot, "past_pivot")

    def _cannot_retry(self, move: MoveRow) -> set[str]:
        return _if(move.status != "held", "not_held")

    def _cannot_tear_down(self, move: MoveRow) -> set[str]:
        return self._replica_gone(move) or _if(bool(self.books.active_of(move.app)), "move_active")

    def _replica_gone(self, move: MoveRow) -> set[str]:
        replica = self.books.replicas.get(move.id)
        if replica is None:
            return {"no_replica"}
        return _if(replica.state != "retained", f"replica_{replica.state}")

    def _asked_already(self, act: str, move: MoveRow) -> set[str]:
        return _if(act in self.four_eyes and self.books.asked_about(move.id) is not None, "already_asked")

    def _closed(self, *regions: str) -> set[str]:
        return _if(not all(self.books.regions[slug][1] for slug in regions), "region_closed")


def _if(holds: bool, code: str) -> set[str]:
    return {code} if holds else set()

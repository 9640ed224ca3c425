"""What moves left behind in the regions, on the edges and in the work folder, and nothing on the books has a use for.

    books, as they are ─► look at every region ─► books again ─► an orphan is one by both

Read twice, so that a move that begins or ends meanwhile is no finding. Only what is surely a move's own counts; what
may be somebody else's is passed over. Nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrations_app.models import App, AppMigration
from migrations_app.orphans.books import Books
from migrations_app.orphans.judging import Orphan, orphans
from migrations_app.orphans.looking import Unreachable, look

__all__ = ["Findings", "Orphan", "Unreachable", "find", "left_by"]


@dataclass(frozen=True)
class Findings:
    """`unreachable`: what could not be looked at, so that nothing is known of it."""

    orphans: list[Orphan]
    unreachable: list[Unreachable]


def left_by(move: AppMigration) -> str:
    """What would be left over if the move were over now, in words; empty when it is nothing."""
    found = find(move.app, over=move)
    there = [f"{orphan.kind} {orphan.name} in {orphan.region}" for orphan in found.orphans]
    unseen = [f"{part.part} of {part.region}" for part in found.unreachable]
    sentences = [("Still there", there), ("Not looked at, as it does not answer", unseen)]
    return " ".join(f"{words}: {', '.join(names)}." for words, names in sentences if names)


def find(app: App | None = None, *, over: AppMigration | None = None) -> Findings:
    """Look everywhere, all regions at once; of the `app` only, if one is named. What no move on the books has made
    belongs to no app. `over` is taken for a move that has failed."""
    before = Books.read(over)
    sight = look(before)
    known = {orphan.key for orphan in orphans(before, sight)}
    found = [orphan for orphan in orphans(Books.read(over), sight) if orphan.key in known]
    wanted = [orphan for orphan in found if app is None or orphan.app == app.slug]
    return Findings(sorted(wanted, key=lambda orphan: (orphan.region, orphan.kind, orphan.name)), sight.unreachable)

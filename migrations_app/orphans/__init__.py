"""What moves left behind in the regions, on the edges and in the work folder, and nothing on the books has a use for.

    books, as they are ─► look at every region ─► books again ─► an orphan is one by both

Read twice, so that a move that begins or ends meanwhile is no finding. Only what is surely a move's own counts; what
may be somebody else's is passed over. Nothing is changed.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrations_app.models import App
from migrations_app.orphans.books import Books
from migrations_app.orphans.judging import Orphan, orphans
from migrations_app.orphans.looking import Unreachable, look

__all__ = ["Findings", "Orphan", "Unreachable", "find"]


@dataclass(frozen=True)
class Findings:
    """`unreachable`: what could not be looked at, so that nothing is known of it."""

    orphans: list[Orphan]
    unreachable: list[Unreachable]


def find(app: App | None = None) -> Findings:
    """Look everywhere, all regions at once; of the `app` only, if one is named. What no move on the books has made
    belongs to no app."""
    before = Books.read()
    sight = look(before)
    known = {orphan.key for orphan in orphans(before, sight)}
    found = [orphan for orphan in orphans(Books.read(), sight) if orphan.key in known]
    wanted = [orphan for orphan in found if app is None or orphan.app == app.slug]
    return Findings(sorted(wanted, key=lambda orphan: (orphan.region, orphan.kind, orphan.name)), sight.unreachable)

"""`manage.py seed_books`: years of moves on paper, for tests and benchmarks."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app.management.base import PortalCommand
from portal.sandbox.paper import Wanted, fill


class Command(PortalCommand):
    help = (
        "Fill an empty portal with what years of moves leave, on paper: regions of which nothing exists but their "
        "rows, people without passwords, apps, moves of all kinds and ends, replicas, approvals, alarms, and an audit "
        "trail that verifies. For tests and benchmarks; refused where there are apps."
    )
    examples = (
        ("A hundred thousand moves and a million events", "seed_books"),
        ("Little, to try a page", "seed_books --apps 20 --moves 200 --events 2000 --live 5"),
    )
    is_for_people = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--apps", type=int, default=Wanted.apps, metavar="N", help="apps (500)")
        parser.add_argument("--moves", type=int, default=Wanted.moves, metavar="N", help="moves that are over (100000)")
        parser.add_argument(
            "--events", type=int, default=Wanted.events, metavar="N", help="events of the audit trail (1000000)"
        )
        parser.add_argument(
            "--live", type=int, default=Wanted.live, metavar="N", help="moves that run; some more wait (50)"
        )

    def run(self, **options: Any) -> None:
        wanted = Wanted(**{name: options[name] for name in ("apps", "moves", "events", "live")})
        counts = fill(wanted, say=self.say)
        self.answer(counts, ", ".join(f"{count} {things}" for things, count in counts.items()))

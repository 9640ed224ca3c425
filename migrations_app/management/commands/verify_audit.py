from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import audit, permissions, queries
from migrations_app.management import arguments
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.management.help import EXAMPLE_ID
from migrations_app.permissions import Verb


class Command(PortalCommand):
    help = (
        "Check the audit trail: every event's hash, every chain's links, and that each chain's end fits its move. "
        "Exit status 1 when something was changed. --json prints the head of every chain: kept elsewhere, it shows "
        "later whether the trail was written anew."
    )
    failed = "something was changed, or it failed while looking"
    examples = (
        ("Check all of it", "verify_audit"),
        ("Check what was written about one move", f"verify_audit {EXAMPLE_ID}"),
        ("Print the heads of all chains, to keep elsewhere", "verify_audit --json"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", nargs="?", type=arguments.MOVE, metavar="ID", help="one move's chain; default: all")

    def run(self, **options: Any) -> None:
        permissions.require(self.user, Verb.EXPORT_AUDIT)
        verdict = audit.verify(queries.move(options["id"], viewer=self.user) if options["id"] else None)
        problems = [vars(problem) for problem in verdict.problems]
        lines = [f"chain {p.chain}{f', event {p.number}' if p.number else ''}: {p.found}" for p in verdict.problems]
        lines.append(
            f"{verdict.events} events in {len(verdict.heads)} chains: "
            + (f"{len(problems)} problems." if problems else "all as they were written.")
        )
        self.answer(
            {
                "ok": not problems,
                "events": verdict.events,
                "problems": problems,
                "heads": {chain: {"number": n, "hash": h} for chain, (n, h) in verdict.heads.items()},
            },
            "\n".join(lines),
        )
        if problems:
            sys.exit(EXIT_FAILED)

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app import actions
from migrations_app.management import arguments
from migrations_app.management.base import PortalCommand
from migrations_app.management.help import EXAMPLE_ID


class Command(PortalCommand):
    help = "Reject what waits for approval about a move: the move itself, or the teardown of its replica."
    examples = (
        ("Reject a move", f'reject_migration {EXAMPLE_ID} --as approver --reason "not in the week of the sale"'),
        ("The same, for a program", f'reject_migration {EXAMPLE_ID} --as approver --reason "frozen" --json'),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=arguments.WAITING_MOVE, metavar="ID", help="the move's id")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why; needed, and who asked reads it")

    def run(self, **options: Any) -> None:
        move = actions.reject(move_id=options["id"], acting_user=self.user, reason=options["reason"])
        self.answer({"migration_id": str(move.pk), "status": move.status}, f"Rejected.\nstatus {move.status}")

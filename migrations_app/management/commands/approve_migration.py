from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app import actions
from migrations_app.management.base import PortalCommand
from migrations_app.models import SourceReplica


class Command(PortalCommand):
    help = (
        "Approve what waits for approval about a move: the move itself, or the teardown of its replica. "
        "Nobody approves what they asked for themselves."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", help="the move's id")
        parser.add_argument("--comment", default="", help="goes on the audit trail")
        parser.add_argument(
            "--seen",
            default="",
            metavar="FINGERPRINT",
            help="approve only what has this fingerprint; move_app_status --json tells it",
        )

    def run(self, **options: Any) -> None:
        move = actions.approve(
            move_id=options["id"], acting_user=self.user, seen=options["seen"], comment=options["comment"]
        )
        lines = ["Approved.", f"status {move.status}"]
        replica = SourceReplica.objects.filter(migration=move).first()
        if replica:
            lines.append(f"replica {replica.state}")
        self.answer({"migration_id": str(move.pk), "status": move.status}, "\n".join(lines))

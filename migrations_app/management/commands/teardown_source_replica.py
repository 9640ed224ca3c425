from __future__ import annotations

import sys
import time
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import actions
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.management.watch import waits_for
from migrations_app.states import ReplicaState, Status


class Command(PortalCommand):
    help = "Give the way back of a completed move up and free the region it left. Irreversible."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", help="the move that left the replica")
        parser.add_argument("--confirm", required=True, metavar="SLUG", help="the app's name, to show that you mean it")
        parser.add_argument("--reason", default="", help="why; needed, and it goes on the audit trail")
        parser.add_argument("--wait", type=float, default=120, metavar="SECONDS", help="how long to wait for it (120)")

    def run(self, **options: Any) -> None:
        replica = actions.teardown(
            move_id=options["id"], confirm=options["confirm"], reason=options["reason"], acting_user=self.user
        )
        if waiting := waits_for(replica.migration):
            self.answer(
                {"migration_id": str(replica.migration_id), "status": Status.AWAITING_APPROVAL, "last_error": None},
                f"status awaiting_approval\n{waiting}",
            )
            return
        give_up_at = time.monotonic() + options["wait"]
        while replica.state == ReplicaState.TEARING_DOWN and time.monotonic() < give_up_at:
            time.sleep(0.1)
            replica.refresh_from_db()
        lines = [act["text"] for act in replica.acts]
        if replica.last_error:
            lines.append(f"Not done yet: {replica.last_error}")
        self.answer(
            {
                "migration_id": str(replica.migration_id),
                "status": replica.state,
                "last_error": replica.last_error or None,
            },
            "\n".join([*lines, f"status {replica.state}"]),
        )
        if replica.state != ReplicaState.TORN_DOWN:
            sys.exit(EXIT_FAILED)

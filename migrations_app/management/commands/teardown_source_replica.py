from __future__ import annotations

import math
import sys
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import actions
from migrations_app.errors import InvalidInput
from migrations_app.management import arguments
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.management.help import EXAMPLE_ID
from migrations_app.management.watch import waits_for
from migrations_app.management.watch_teardown import watch_teardown
from migrations_app.states import ReplicaState, Status


class Command(PortalCommand):
    help = (
        "Give the way back of a completed move up and free the region it left. Irreversible. Waits until it is done, "
        "or until somebody else has to approve it."
    )
    failed = "not torn down yet, or no more to be"
    examples = (
        (
            "Give the replica up that a move left",
            f'teardown_source_replica {EXAMPLE_ID} --confirm shop --reason "a month went well"',
        ),
        (
            "Wait also until somebody else has approved it",
            f'teardown_source_replica {EXAMPLE_ID} --confirm shop --reason "too dear" --as operator --watch',
        ),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=arguments.RETAINED, metavar="ID", help="the move that left the replica")
        parser.add_argument("--confirm", required=True, metavar="SLUG", help="the app's name, to show that you mean it")
        parser.add_argument("--reason", default="", metavar="TEXT", help="why; needed, and it goes on the audit trail")
        how_long = parser.add_mutually_exclusive_group()
        how_long.add_argument(
            "--wait", type=float, default=120, metavar="SECONDS", help="how long to wait for its end (120)"
        )
        how_long.add_argument(
            "--watch", action="store_true", help="follow it to its end, through approval too; exit 1 unless torn down"
        )

    def run(self, **options: Any) -> None:
        seconds = options["wait"]
        if math.isnan(seconds) or seconds < 0:
            raise InvalidInput(f"--wait is {seconds:g}.", hint="Give 0 or more seconds.", code="invalid_time")
        replica = actions.teardown(
            move_id=options["id"], confirm=options["confirm"], reason=options["reason"], acting_user=self.user
        )
        waiting = waits_for(replica.migration)
        if waiting and not options["watch"]:
            self.answer(
                {"migration_id": str(replica.migration_id), "status": Status.AWAITING_APPROVAL, "last_error": None},
                f"status awaiting_approval\n{waiting}",
            )
            return
        replica = watch_teardown(
            replica.migration_id, plain=self.as_json, seconds=None if options["watch"] else seconds
        )
        self.answer(
            {
                "migration_id": str(replica.migration_id),
                "status": replica.state,
                "last_error": replica.last_error or None,
            },
            f"status {replica.state}",
        )
        if replica.state != ReplicaState.TORN_DOWN:
            sys.exit(EXIT_FAILED)

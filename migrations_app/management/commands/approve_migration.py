from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import actions, queries
from migrations_app.management import arguments
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.management.help import EXAMPLE_ID
from migrations_app.management.watch import waits_for, wanted_end, watch
from migrations_app.management.watch_teardown import watch_teardown
from migrations_app.models import AppMigration, SourceReplica
from migrations_app.states import Act, ReplicaState, Status


class Command(PortalCommand):
    help = (
        "Approve what waits for approval about a move: the move itself, or the teardown of its replica. "
        "Nobody approves what they asked for themselves."
    )
    failed = "failed while doing it; with --watch: it did not end as was asked"
    examples = (
        ("Approve a move that somebody else asked for", f"approve_migration {EXAMPLE_ID} --as approver"),
        (
            "Approve it with a comment, and follow it to its end",
            f'approve_migration {EXAMPLE_ID} --as approver --comment "after the backup" --watch',
        ),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=arguments.WAITING_MOVE, metavar="ID", help="the move's id")
        parser.add_argument("--comment", default="", metavar="TEXT", help="goes on the audit trail")
        parser.add_argument(
            "--seen",
            default="",
            metavar="FINGERPRINT",
            help="approve only what has this fingerprint; move_app_status --json tells it",
        )
        parser.add_argument(
            "--watch", action="store_true", help="follow what begins by it to its end; exit 1 unless it is as asked"
        )

    def run(self, **options: Any) -> None:
        move = actions.approve(
            move_id=options["id"], acting_user=self.user, seen=options["seen"].strip(), comment=options["comment"]
        )
        ended_as_asked = True
        if options["watch"]:
            move, ended_as_asked = self._watch(move, Act(queries.approvals_of(move)[-1].act))
        lines = ["Approved.", f"status {move.status}", waits_for(move)]
        replica = SourceReplica.objects.filter(migration=move).first()
        if replica:
            lines.append(f"replica {replica.state}")
        self.answer({"migration_id": str(move.pk), "status": move.status}, "\n".join(filter(None, lines)))
        if not ended_as_asked:
            sys.exit(EXIT_FAILED)

    def _watch(self, move: AppMigration, act: Act) -> tuple[AppMigration, bool]:
        if act == Act.TEARDOWN:
            return move, watch_teardown(move.pk, plain=self.as_json).state == ReplicaState.TORN_DOWN
        wanted = Status.ABORTED if act == Act.ABORT else wanted_end(move)
        move = watch(move.pk, plain=self.as_json)
        return move, move.status == wanted

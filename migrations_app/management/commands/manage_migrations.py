from __future__ import annotations

from argparse import SUPPRESS
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import actions, queries
from migrations_app.management.base import PortalCommand, acting_user
from migrations_app.management.watch import as_text


class Command(PortalCommand):
    help = "The operator's verbs: look at the active move, abort, retry, reverse, list the replicas that are kept."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        get_active = verbs.add_parser("get_active", help="the app's move under way, if there is one")
        get_active.add_argument("slug")
        for verb, text in {
            "abort": "undo a move before its point of no return",
            "retry": "let a held move go on",
            "reverse": "bring the app back to where a completed move took it from",
        }.items():
            command = verbs.add_parser(verb, help=text)
            command.add_argument("id", help="the move's id")
            command.add_argument("--reason", default="", help="why; it goes on the audit trail")
            command.add_argument("--as", dest="as_user", metavar="USER", help="act as this user")
        verbs.add_parser("list_source_replicas", help="the replicas that moves left behind, with size and cost")
        for command in verbs.choices.values():
            command.add_argument("--json", action="store_true", default=SUPPRESS, help="print one JSON object")

    def run(self, **options: Any) -> None:
        getattr(self, f"_{options['verb']}")(options)

    def _get_active(self, options: dict[str, Any]) -> None:
        move = queries.active_move(options["slug"])
        self.answer(
            {"migration": queries.describe_move(move) if move else None},
            as_text(move) if move else f"No move of {options['slug']} is under way.",
        )

    def _abort(self, options: dict[str, Any]) -> None:
        move = actions.abort(
            move_id=options["id"], reason=options["reason"], acting_user=acting_user(options["as_user"])
        )
        self.answer({"migration_id": str(move.pk), "status": move.status}, f"status {move.status}")

    def _retry(self, options: dict[str, Any]) -> None:
        move = actions.retry(
            move_id=options["id"], reason=options["reason"], acting_user=acting_user(options["as_user"])
        )
        self.answer({"migration_id": str(move.pk), "status": move.status}, f"status {move.status}")

    def _reverse(self, options: dict[str, Any]) -> None:
        user = acting_user(options["as_user"])
        move = actions.reverse(move_id=options["id"], reason=options["reason"], acting_user=user)
        self.answer(
            {"migration_id": str(move.pk), "status": move.status, "path": "fast"},
            f"migration_id {move.pk}\nstatus {move.status}",
        )

    def _list_source_replicas(self, options: dict[str, Any]) -> None:
        replicas = [queries.describe_replica(replica) for replica in queries.replicas_in_use()]
        self.answer(
            {"source_replicas": replicas},
            "\n".join(
                f"{r['migration_id']}  {r['app_id']:<16} {r['source_region']} → {r['dest_region']}  {r['state']:<12} "
                f"{r['size_bytes']} bytes  {r['estimated_monthly_cost_usd']:.2f} USD a month"
                for r in replicas
            )
            or "No replica is kept.",
        )

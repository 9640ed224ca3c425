from __future__ import annotations

from argparse import SUPPRESS
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import actions, queries
from migrations_app.management.base import PortalCommand
from migrations_app.management.watch import as_text, waits_for
from migrations_app.models import AppMigration

_ACTIONS = {
    "abort": (actions.abort, "undo a move before its point of no return"),
    "retry": (actions.retry, "let a held move go on"),
    "reverse": (actions.reverse, "bring the app back to where a completed move took it from"),
    "withdraw": (actions.withdraw, "take your own request back while it waits for approval"),
}


class Command(PortalCommand):
    help = "The operator's verbs: look at the active move, abort, retry, reverse, list the replicas that are kept."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        get_active = verbs.add_parser("get_active", help="the app's move under way, if there is one")
        get_active.add_argument("slug")
        for verb, (_, text) in _ACTIONS.items():
            command = verbs.add_parser(verb, help=text)
            command.add_argument("id", help="the move's id")
            command.add_argument("--reason", default="", help="why; it goes on the audit trail")
        verbs.add_parser("list_source_replicas", help="the replicas that moves left behind, with size and cost")
        for command in verbs.choices.values():
            self.add_shared_arguments(command, default=SUPPRESS)

    def run(self, **options: Any) -> None:
        if options["verb"] in _ACTIONS:
            self._act(options)
        else:
            getattr(self, f"_{options['verb']}")(options)

    def _get_active(self, options: dict[str, Any]) -> None:
        move = queries.active_move(options["slug"], viewer=self.user)
        self.answer(
            {"migration": queries.describe_move(move) if move else None},
            as_text(move) if move else f"No move of {options['slug']} is under way.",
        )

    def _act(self, options: dict[str, Any]) -> None:
        act, _ = _ACTIONS[options["verb"]]
        move: AppMigration = act(move_id=options["id"], reason=options["reason"], acting_user=self.user)
        data, text = {"migration_id": str(move.pk), "status": move.status}, f"status {move.status}"
        if options["verb"] == "reverse":
            data["path"], text = "fast", f"migration_id {move.pk}\n{text}"
        self.answer(data, "\n".join(filter(None, (text, waits_for(move)))))

    def _list_source_replicas(self, options: dict[str, Any]) -> None:
        replicas = [queries.describe_replica(replica) for replica in queries.replicas_in_use(viewer=self.user)]
        self.answer(
            {"source_replicas": replicas},
            "\n".join(
                f"{r['migration_id']}  {r['app_id']:<16} {r['source_region']} → {r['dest_region']}  {r['state']:<12} "
                f"{r['size_bytes']} bytes  {r['estimated_monthly_cost_usd']:.2f} USD a month"
                for r in replicas
            )
            or "No replica is kept.",
        )

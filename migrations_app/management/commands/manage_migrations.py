from __future__ import annotations

from argparse import SUPPRESS
from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import actions, queries
from migrations_app.clock import beginning_of
from migrations_app.errors import InvalidInput
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
    help = "The operator's verbs: look at the active move, abort, retry, reverse, comment; list the replicas, keep one."

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
        get_active = verbs.add_parser("get_active", help="the app's move under way, if there is one")
        get_active.add_argument("slug")
        for verb, (_, text) in _ACTIONS.items():
            command = verbs.add_parser(verb, help=text)
            command.add_argument("id", help="the move's id")
            command.add_argument("--reason", default="", help="why; it goes on the audit trail")
        keep = verbs.add_parser("keep", help="set the day by which somebody looks whether a replica is still needed")
        keep.add_argument("id", help="the move that left the replica")
        keep.add_argument("--until", required=True, metavar="YYYY-MM-DD", help="that day, at most a year ahead")
        keep.add_argument("--reason", default="", help="why; it goes on the audit trail")
        comment = verbs.add_parser("comment", help="say something about a move, for all who look at it")
        comment.add_argument("id", help="the move's id")
        comment.add_argument("--text", required=True, help="1 to 2000 characters; they stay on the audit trail")
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

    def _keep(self, options: dict[str, Any]) -> None:
        until = beginning_of(_day(options["until"]))
        replica = actions.keep(move_id=options["id"], until=until, reason=options["reason"], acting_user=self.user)
        self.answer(
            {"migration_id": str(replica.migration_id), "review_at": replica.review_at},
            f"kept until {replica.review_at:%Y-%m-%d}",
        )

    def _comment(self, options: dict[str, Any]) -> None:
        move = actions.comment(move_id=options["id"], text=options["text"], acting_user=self.user)
        self.answer({"migration_id": str(move.pk), "status": move.status}, "The comment is on the move's trail.")

    def _list_source_replicas(self, options: dict[str, Any]) -> None:
        replicas = [
            {**queries.describe_replica(replica), "review_at": replica.review_at}
            for replica in queries.replicas_in_use(viewer=self.user)
        ]
        self.answer(
            {"source_replicas": replicas},
            "\n".join(
                f"{r['migration_id']}  {r['app_id']:<16} {r['source_region']} → {r['dest_region']}  {r['state']:<12} "
                f"{r['size_bytes']} bytes  {r['estimated_monthly_cost_usd']:.2f} USD a month  "
                f"kept until {r['review_at']:%Y-%m-%d}"
                for r in replicas
            )
            or "No replica is kept.",
        )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(
            f"--until {text} is not a day.", hint="Write it as 2030-01-31.", code="invalid_time"
        ) from error

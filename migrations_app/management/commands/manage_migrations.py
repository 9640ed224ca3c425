from __future__ import annotations

import sys
from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import actions, published, queries
from migrations_app.clock import beginning_of
from migrations_app.errors import InvalidInput
from migrations_app.management import arguments
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.management.help import EXAMPLE_ID
from migrations_app.management.watch import as_text, waits_for, wanted_end, watch
from migrations_app.models import AppMigration
from migrations_app.states import Status

_ACTIONS = {
    "abort": (actions.abort, arguments.ACTIVE_MOVE, "undo a move before its point of no return"),
    "retry": (actions.retry, arguments.ACTIVE_MOVE, "let a held move go on"),
    "reverse": (actions.reverse, arguments.MOVE, "bring the app back to where a completed move took it from"),
    "withdraw": (actions.withdraw, arguments.WAITING_MOVE, "take your own request back while it waits for approval"),
}
_TAKE_TIME = frozenset({"abort", "retry", "reverse"})


class Command(PortalCommand):
    help = (
        "Abort, retry, reverse, withdraw or comment on a move, and see an app's active one; list the replicas that "
        "moves left, and keep one."
    )
    failed = "failed while doing it; with --watch: it did not end as was asked"
    examples = (
        ("The move of shop that is under way", "manage_migrations get_active shop"),
        (
            "Undo a move, and follow it until all is undone",
            f'manage_migrations abort {EXAMPLE_ID} --reason "sale" --watch',
        ),
        (
            "Let a held move go on, its cause mended",
            f'manage_migrations retry {EXAMPLE_ID} --reason "the disk has room again"',
        ),
        (
            "Bring the app back, and follow it",
            f'manage_migrations reverse {EXAMPLE_ID} --reason "slow over there" --as operator --watch',
        ),
        ("Take your own request back", f"manage_migrations withdraw {EXAMPLE_ID} --as requester"),
        (
            "Keep a replica for longer",
            f'manage_migrations keep {EXAMPLE_ID} --until 2030-01-31 --reason "audit in January"',
        ),
        ("Tell the others", f'manage_migrations comment {EXAMPLE_ID} --text "We wait for the backup." --as operator'),
        ("The replicas that are kept, for a program", "manage_migrations list_source_replicas --json"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(
            dest="verb", required=True, metavar="VERB", help="what to do; each has its --help"
        )
        get_active = self.add_verb(verbs, "get_active", "the app's move under way, if there is one")
        get_active.add_argument("slug", type=arguments.APP, metavar="SLUG", help="the app")
        for verb, (_, named, text) in _ACTIONS.items():
            command = self.add_verb(verbs, verb, text)
            command.add_argument("id", type=named, metavar="ID", help="the move's id")
            command.add_argument("--reason", default="", metavar="TEXT", help="why; it goes on the audit trail")
            if verb in _TAKE_TIME:
                command.add_argument(
                    "--watch", action="store_true", help="follow it to its end; exit 1 unless it is as asked"
                )
        keep = self.add_verb(verbs, "keep", "set the day by which somebody looks whether a replica is still needed")
        keep.add_argument("id", type=arguments.RETAINED, metavar="ID", help="the move that left the replica")
        keep.add_argument("--until", required=True, metavar="YYYY-MM-DD", help="that day, at most a year ahead")
        keep.add_argument("--reason", default="", metavar="TEXT", help="why; it goes on the audit trail")
        comment = self.add_verb(verbs, "comment", "say something about a move, for all who look at it")
        comment.add_argument("id", type=arguments.MOVE, metavar="ID", help="the move's id")
        comment.add_argument("--text", required=True, help="1 to 2000 characters; they stay on the audit trail")
        self.add_verb(verbs, "list_source_replicas", "the replicas that moves left behind, with size and cost")

    def run(self, **options: Any) -> None:
        if options["verb"] in _ACTIONS:
            self._act(options)
        else:
            getattr(self, f"_{options['verb']}")(options)

    def _get_active(self, options: dict[str, Any]) -> None:
        move = queries.active_move(options["slug"], viewer=self.user)
        self.answer(
            {"migration": published.describe_move(move) if move else None},
            as_text(move) if move else f"No move of {options['slug']} is under way.",
        )

    def _act(self, options: dict[str, Any]) -> None:
        verb = options["verb"]
        act = _ACTIONS[verb][0]
        move: AppMigration = act(move_id=options["id"], reason=options["reason"], acting_user=self.user)
        wanted = Status.ABORTED if verb == "abort" else wanted_end(move)
        is_watched = options.get("watch", False)
        if is_watched:
            move = watch(move.pk, plain=self.as_json)
        data, text = {"migration_id": str(move.pk), "status": move.status}, f"status {move.status}"
        if verb == "reverse":
            data["path"], text = "fast", f"migration_id {move.pk}\n{text}"
        self.answer(data, "\n".join(filter(None, (text, waits_for(move)))))
        if is_watched and move.status != wanted:
            sys.exit(EXIT_FAILED)

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
            {**published.describe_replica(replica), "review_at": replica.review_at}
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

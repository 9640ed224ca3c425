from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import published, queries
from migrations_app.errors import NotFound
from migrations_app.management import arguments
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.management.help import EXAMPLE_ID
from migrations_app.management.watch import as_text, waits_for, watch
from migrations_app.states import Status


class Command(PortalCommand):
    help = "Show where a move stands: the latest of the app, or the one with the given id."
    failed = "failed while doing it; with --watch: the move did not complete"
    examples = (
        ("Where the latest move of shop stands", "move_app_status shop"),
        ("Follow it to its end", "move_app_status shop --watch"),
        ("An earlier move, with all its steps, for a program", f"move_app_status shop {EXAMPLE_ID} --json"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", type=arguments.APP, metavar="SLUG", help="the app")
        parser.add_argument(
            "id", nargs="?", type=arguments.MOVE, metavar="ID", help="the move; default: the app's latest"
        )
        parser.add_argument("--watch", action="store_true", help="follow the move to its end; exit 1 unless completed")

    def run(self, **options: Any) -> None:
        slug = queries.app(options["slug"], viewer=self.user).slug
        if options["id"]:
            move = queries.move(options["id"], viewer=self.user)
        else:
            move = queries.latest_move(slug, viewer=self.user)
        if move.app.slug != slug:
            raise NotFound(
                f"{slug} has no move {move.pk}.",
                hint="Leave the id out for the app's latest move.",
                code="unknown_migration",
            )
        if options["watch"]:
            move = watch(move.pk, plain=self.as_json)
        differences = published.differences_found(move)
        differs = (f"Differs: {d['kind']} {d['name']}" for d in differences)
        text = "\n".join(filter(None, (as_text(move), *differs, waits_for(move))))
        self.answer(
            {
                **published.describe_move(move),
                **published.circumstances(move),
                "steps": published.steps_of(move),
                "differences": differences,
            },
            text,
        )
        if options["watch"] and move.status != Status.COMPLETED:
            sys.exit(EXIT_FAILED)

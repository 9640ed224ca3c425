from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from migrations_app import queries
from migrations_app.errors import NotFound
from migrations_app.management.base import PortalCommand
from migrations_app.management.watch import as_text, watch


class Command(PortalCommand):
    help = "Show where a move stands: the latest of the app, or the one with the given id."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="the app")
        parser.add_argument("id", nargs="?", help="the move; default: the app's latest")
        parser.add_argument("--watch", action="store_true", help="follow the move to its end")

    def run(self, **options: Any) -> None:
        slug = queries.app(options["slug"], viewer=self.user).slug
        if options["id"]:
            move = queries.move(options["id"], viewer=self.user)
        else:
            move = queries.latest_move(slug, viewer=self.user)
        if move.app.slug != slug:
            raise NotFound(f"{slug} has no move {move.pk}.", code="unknown_migration")
        if options["watch"]:
            move = watch(move.pk, plain=self.as_json)
        differences = queries.differences_found(move)
        text = "\n".join([as_text(move), *(f"Differs: {d['kind']} {d['name']}" for d in differences)])
        self.answer(
            {
                **queries.describe_move(move),
                **queries.circumstances(move),
                "steps": queries.steps_of(move),
                "differences": differences,
            },
            text,
        )

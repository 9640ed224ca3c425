from __future__ import annotations

import sys
from typing import Any

from django.core.management.base import CommandParser

from migrations_app import orphans, permissions, queries
from migrations_app.management import arguments
from migrations_app.management.base import EXIT_FAILED, PortalCommand
from migrations_app.permissions import Verb


class Command(PortalCommand):
    help = (
        "Look for what moves left behind in the regions, on the edges and in this machine's work folder. Changes "
        "nothing."
    )
    failed = "something is left over, or a region could not be asked"
    examples = (
        ("Look everywhere", "find_orphans"),
        ("Look for what moves of shop left behind", "find_orphans --app shop"),
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--app", type=arguments.APP, metavar="SLUG", help="of one app only")

    def run(self, **options: Any) -> None:
        permissions.require(self.user, Verb.EXPORT_AUDIT)
        app = queries.app(options["app"], viewer=self.user) if options["app"] else None
        found = orphans.find(app)
        in_sight = self._in_sight(found.orphans)
        self.answer(
            {
                "orphans": [
                    {key: getattr(orphan, key) for key in ("kind", "region", "name", "why", "remedy")}
                    for orphan in in_sight
                ],
                "unreachable": [vars(part) for part in found.unreachable],
            },
            "\n".join(
                [*map(_as_text, in_sight), *map(_as_complaint, found.unreachable), _sum(in_sight, found.unreachable)]
            ),
        )
        if in_sight or found.unreachable:
            sys.exit(EXIT_FAILED)

    def _in_sight(self, found: list[orphans.Orphan]) -> list[orphans.Orphan]:
        """What no app has left is for those who see every team."""
        if permissions.sees_every_team(self.user):
            return found
        visible = set(permissions.visible_apps(self.user).values_list("slug", flat=True))
        return [orphan for orphan in found if orphan.app in visible]


def _as_text(orphan: orphans.Orphan) -> str:
    return f"{orphan.kind} {orphan.name} in {orphan.region}: {orphan.why}\n    {orphan.remedy}"


def _as_complaint(part: orphans.Unreachable) -> str:
    return f"Not looked at: {part.part} of {part.region}. {part.reason}"


def _sum(found: list[orphans.Orphan], unreachable: list[orphans.Unreachable]) -> str:
    if not found:
        return "Nothing is left over where one could look." if unreachable else "Nothing is left over."
    return "1 thing is left over." if len(found) == 1 else f"{len(found)} things are left over."

from __future__ import annotations

from typing import Any

from migrations_app import permissions
from migrations_app.management.base import PortalCommand
from migrations_app.models import Region
from migrations_app.permissions import Verb


class Command(PortalCommand):
    help = "List the regions and whether they accept moves."
    examples = (
        ("The regions, in words", "list_regions"),
        ("Their slugs, windows and whether they accept moves, for a program", "list_regions --json"),
    )

    def run(self, **options: Any) -> None:
        permissions.require(self.user, Verb.VIEW)
        regions = list(Region.objects.all())
        self.answer(
            {
                "regions": [region.slug for region in regions],
                "details": [
                    {
                        "slug": region.slug,
                        "accepts_moves": region.accepts_moves,
                        "window": str(region.window) if region.window else None,
                    }
                    for region in regions
                ],
            },
            "\n".join(
                f"{region.slug:<20} {'accepts moves' if region.accepts_moves else 'closed to moves'}"
                f"{f', which begin {region.window}' if region.window else ''}"
                for region in regions
            )
            or "There are no regions yet. Add them in the admin, or start a sandbox: python manage.py sandbox up",
        )

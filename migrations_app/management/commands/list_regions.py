from __future__ import annotations

from typing import Any

from migrations_app.management.base import PortalCommand
from migrations_app.models import Region


class Command(PortalCommand):
    help = "List the regions and whether they accept moves."

    def run(self, **options: Any) -> None:
        regions = list(Region.objects.all())
        self.answer(
            {
                "regions": [region.slug for region in regions],
                "details": [{"slug": region.slug, "accepts_moves": region.accepts_moves} for region in regions],
            },
            "\n".join(
                f"{region.slug:<20} {'accepts moves' if region.accepts_moves else 'closed to moves'}"
                for region in regions
            )
            or "There are no regions yet. Add them in the admin, or start a sandbox: python manage.py sandbox up",
        )

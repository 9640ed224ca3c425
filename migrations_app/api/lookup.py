"""What an address names. What is not in sight is answered like what never was."""

from __future__ import annotations

import re
from uuid import UUID

from django.contrib.auth.models import User

from migrations_app import queries
from migrations_app.errors import InvalidInput
from migrations_app.models import AppMigration, Region
from migrations_app.models.names import SLUG


def move_of(slug: str, move_id: UUID | str, user: User) -> AppMigration:
    """The app's move; one of another app is none."""
    found = queries.move(move_id, viewer=user)
    if found.app.slug != slug:
        raise queries.no_such_move(move_id)
    return found


def open_region(slug: str) -> Region:
    """A region that moves may go to: closed ones are no destination, nor is what no region can be called."""
    if not re.fullmatch(SLUG, slug):
        raise InvalidInput(
            "dest_region: that is no name of a region.",
            hint="Name one that GET /v1/regions lists.",
            code="invalid_region",
        )
    found = queries.region(slug)
    if not found.accepts_moves:
        raise InvalidInput(
            f"dest_region: region {slug} is closed to moves.",
            hint="Choose another, or ask an admin to open it.",
            code="invalid_region",
        )
    return found

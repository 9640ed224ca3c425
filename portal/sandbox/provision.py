"""The rows that make the portal know its sandbox: three regions, and a user for each role."""

from __future__ import annotations

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import transaction

from portal.sandbox.layout import find_layout
from portal.sandbox.lifecycle import region_parts
from portal.sandbox.state import REGIONS, TEAM, require


@transaction.atomic
def seed() -> None:
    """Create what is missing and bring the regions up to date. Passwords of existing users stay."""
    seed_regions()
    seed_people()


def seed_regions() -> None:
    from migrations_app.models import Region

    sandbox = require(find_layout())
    for place in REGIONS:
        parts = region_parts(sandbox, place.slug)
        Region.objects.update_or_create(
            slug=place.slug,
            defaults={
                "name": place.name,
                "database": parts["database"],
                "blobs": parts["blobs"],
                "runtime_url": parts["runtime"],
                "runtime_path": str(sandbox.layout.programs(place.slug)),
                "app_host": place.host,
                "cost_per_gb_month_usd": place.cost_per_gb_month_usd,
            },
        )


def seed_people() -> None:
    """One person for each role, named like it; those who see their teams only belong to the sample app's."""
    team, _ = Group.objects.get_or_create(name=TEAM)
    for login, password in require(find_layout()).state.users.items():
        user, created = get_user_model().objects.get_or_create(username=login, defaults={"is_staff": True})
        if created:
            user.set_password(password)
            user.save()
        user.groups.add(Group.objects.get(name=login.capitalize()), team)

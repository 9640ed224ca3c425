"""The people before the console."""

from __future__ import annotations

from functools import cache

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import User

from tests.people import person

TEAM = "team-a"
PASSWORD = "a-password-of-theirs"


@cache
def _hashed() -> str:
    return make_password(PASSWORD)


def colleague(name: str, role: str) -> User:
    """Somebody of the team that owns the shop, who can log in."""
    user = person(name, role, TEAM)
    User.objects.filter(pk=user.pk).update(password=_hashed())
    user.refresh_from_db()
    return user

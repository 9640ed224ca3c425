"""Users with roles and teams."""

from __future__ import annotations

from importlib import import_module

from django.apps import apps
from django.contrib.auth.hashers import MD5PasswordHasher
from django.contrib.auth.models import Group, User

ROLES = ("Viewer", "Requester", "Approver", "Operator", "Admin")

PASSWORD = "a password of theirs"
QUICK_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
"""For settings.PASSWORD_HASHERS of tests in which people log in: a safe hash takes half a second."""
_HASHED = MD5PasswordHasher().encode(PASSWORD, "as-long-as-salt-has-to-be")


def establish_roles() -> None:
    """The groups that the migration makes: Django empties them too after a test."""
    import_module("migrations_app.migrations.0004_roles").establish(apps, None)


def team(name: str) -> Group:
    return Group.objects.get_or_create(name=name)[0]


def person(name: str, role: str = "", *teams: str) -> User:
    """A user who may log in to the admin with PASSWORD, with that role and in those teams."""
    if not Group.objects.filter(name="Viewer", permissions__isnull=False).exists():
        establish_roles()
    user = User.objects.create(username=name, is_staff=True, password=_HASHED)
    user.groups.set([team(group) for group in (role, *teams) if group])
    return user

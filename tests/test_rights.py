"""The rights of a user, read at once: the same as Django's own backend finds."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import AnonymousUser, Permission, User

from migrations_app.rights import RightsAtOnce
from tests.people import ROLES, person

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("role", [*ROLES, ""])
def test_they_are_those_of_the_role_and_ones_own(role: str, django_assert_num_queries: Any) -> None:
    person("ann", role, "team-a").user_permissions.add(Permission.objects.get(codename="delete_user"))
    person("ben", "Admin")
    ann = User.objects.get(username="ann")
    with django_assert_num_queries(1):
        found = RightsAtOnce().get_all_permissions(ann)
        assert RightsAtOnce().has_perm(ann, "auth.delete_user")
    assert found == ModelBackend().get_all_permissions(User.objects.get(username="ann"))
    assert "auth.delete_user" in found


def test_who_is_inactive_or_nobody_has_none_and_a_superuser_all() -> None:
    person("ann", "Admin")
    User.objects.update(is_active=False)
    assert RightsAtOnce().get_all_permissions(User.objects.get()) == set()
    assert RightsAtOnce().get_all_permissions(AnonymousUser()) == set()
    root = User.objects.create_superuser("root")
    assert len(RightsAtOnce().get_all_permissions(root)) == Permission.objects.count()

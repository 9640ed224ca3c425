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


def test_a_user_comes_with_their_rights(django_assert_num_queries: Any) -> None:
    made = person("ann", "Operator", "team-a")
    with django_assert_num_queries(1):
        ann = RightsAtOnce().get_user(made.pk)
        assert ann is not None
        assert ann.has_perm("migrations_app.abort_move")
        assert not ann.has_perm("migrations_app.approve_move")
    assert ann == User.objects.get(username="ann")
    assert vars(ann).keys() >= vars(User.objects.get(username="ann")).keys()
    assert ann.get_all_permissions() == ModelBackend().get_all_permissions(User.objects.get(username="ann"))


def test_nobody_comes_who_is_inactive_or_unknown() -> None:
    made = person("ann", "Operator")
    User.objects.update(is_active=False)
    assert RightsAtOnce().get_user(made.pk) is None
    assert RightsAtOnce().get_user(0) is None
    root = RightsAtOnce().get_user(User.objects.create_superuser("root").pk)
    assert root is not None
    assert len(root.get_all_permissions()) == Permission.objects.count()

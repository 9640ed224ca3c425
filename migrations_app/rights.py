"""Who somebody is and what they may do, read at once: their own rights and those of their roles, which Django reads one
after the other on every page."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db import connection

from migrations_app.prepared import prepared

_RIGHTS = """
SELECT app_label || '.' || codename
FROM auth_permission JOIN django_content_type ON django_content_type.id = content_type_id
WHERE auth_permission.id IN (
    SELECT permission_id FROM auth_user_user_permissions WHERE user_id = %(user)s
    UNION ALL
    SELECT permission_id FROM auth_group_permissions JOIN auth_user_groups USING (group_id) WHERE user_id = %(user)s
)
"""
"""As SQL: every page asks it, and to make it of a queryset took longer than to answer it."""
_FIELDS = [field.attname for field in User._meta.concrete_fields]
_COLUMNS = ", ".join(f'"{field.column}"' for field in User._meta.concrete_fields)
_USER = f"SELECT {_COLUMNS}, ARRAY({_RIGHTS}) FROM auth_user WHERE id = %(user)s"  # noqa: S608 — Django's own names


class RightsAtOnce(ModelBackend):
    """As Django's own backend, with one query in the place of three."""

    def get_user(self, user_id: Any) -> User | None:
        """The user of a session, with their rights."""
        with prepared() as cursor:
            cursor.execute(_USER, {"user": user_id})
            row = cursor.fetchone()
        if row is None:
            return None
        *values, rights = row
        user = User.from_db(connection.alias, _FIELDS, values)
        if not user.is_superuser:
            _keep(user, rights)
        return user if self.user_can_authenticate(user) else None

    def get_all_permissions(self, user_obj: Any, obj: Any = None) -> set[str]:
        if not user_obj.is_active or user_obj.is_anonymous or user_obj.is_superuser or obj is not None:
            return super().get_all_permissions(user_obj, obj)
        if not hasattr(user_obj, _KEPT):
            with prepared() as cursor:
                cursor.execute(_RIGHTS, {"user": user_obj.pk})
                _keep(user_obj, (right for (right,) in cursor.fetchall()))
        rights: set[str] = getattr(user_obj, _KEPT)
        return rights


_KEPT = "_perm_cache"
"""The attribute that Django keeps them in."""


def _keep(user: User, rights: Any) -> None:
    setattr(user, _KEPT, set(rights))

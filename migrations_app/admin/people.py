"""Users, roles and teams."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.contrib.postgres.expressions import ArraySubquery
from django.db import transaction
from django.db.models import Count, OuterRef, QuerySet
from django.http import HttpRequest, HttpResponse

from migrations_app.admin.drawing import DrawnList
from migrations_app.admin.listing import Listed
from migrations_app.admin.recording import Recorded
from migrations_app.admin.sight import NeverDeleted
from migrations_app.admin.trail import WithTrail
from migrations_app.dashboard.display import NOTHING
from migrations_app.dashboard.viewer import user_of
from migrations_app.rules import ROLES

_FLAGS = ["is_active", "is_staff", "is_superuser"]

admin.site.unregister([User, Group])


@admin.register(User)
class PersonAdmin(WithTrail, Recorded, NeverDeleted, DrawnList, UserAdmin):
    """Who leaves is made inactive: the audit trail names them. Only a superuser makes or changes a superuser."""

    list_per_page = Listed.list_per_page
    list_display = ["username", "email", "roles", "teams", "is_active", "is_superuser", "last_login"]
    list_filter = ["is_active", "is_superuser", "groups"]
    values_recorded = _FLAGS

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        names = Group.objects.filter(user=OuterRef("pk")).order_by("name").values("name")
        return super().get_queryset(request).annotate(group_names=ArraySubquery(names))

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        last = ["last_login", "date_joined"]
        return last if user_of(request).is_superuser else [*last, "is_superuser", "user_permissions"]

    def has_change_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        if obj is not None and obj.is_superuser and not user_of(request).is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            return super().user_change_password(request, *args, **kwargs)

    def trail_of(self, obj: User) -> dict[str, Any]:
        return {"target": f"user {obj}"}

    @admin.display
    def roles(self, user: Any) -> str:
        return ", ".join(name for name in user.group_names if name in ROLES) or NOTHING

    @admin.display
    def teams(self, user: Any) -> str:
        return ", ".join(name for name in user.group_names if name not in ROLES) or NOTHING


@admin.register(Group)
class TeamAdmin(WithTrail, Recorded, DrawnList, GroupAdmin):
    """Teams, and the five roles, which stay and keep their names. What a group may do only a superuser changes, and
    the roles with it."""

    actions = None
    list_display = ["name", "is_role", "members"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Group]:
        return super().get_queryset(request).annotate(member_count=Count("user"))

    def get_fields(self, request: HttpRequest, obj: Group | None = None) -> Any:
        if user_of(request).is_superuser:
            return ["name", "permissions"]
        return ["name", "rights"] if obj else ["name"]

    def get_readonly_fields(self, request: HttpRequest, obj: Group | None = None) -> list[str]:
        return ["name", "rights"] if obj and obj.name in ROLES else ["rights"]

    def has_change_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        if obj is not None and obj.name in ROLES and not user_of(request).is_superuser:
            return False
        return super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Group | None = None) -> bool:
        return (obj is None or obj.name not in ROLES) and super().has_delete_permission(request, obj)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """What keeps a team is its apps, not a right that somebody lacks."""
        to_delete, counts, rights_lacking, protected = super().get_deleted_objects(objs, request)
        return to_delete, counts, set() if protected else rights_lacking, protected

    def trail_of(self, obj: Group) -> dict[str, Any]:
        return {"target": f"group {obj}"}

    @admin.display(description="role", boolean=True)
    def is_role(self, group: Group) -> bool:
        return group.name in ROLES

    @admin.display(description="permissions")
    def rights(self, group: Group) -> str:
        return ", ".join(group.permissions.order_by("name").values_list("name", flat=True)) or "None of its own."

    @admin.display(ordering="member_count")
    def members(self, group: Any) -> int:
        return group.member_count

"""Who sees what in the admin, and what nobody can do there."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db.models import QuerySet
from django.forms import Media
from django.http import HttpRequest, HttpResponse

from migrations_app import queries
from migrations_app.dashboard.shared import shared
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import Region
from migrations_app.permissions import in_sight, sight_of, visible_apps


class NeverDeleted(admin.ModelAdmin):
    """What has a history stays."""

    actions = None

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class LookOnly(NeverDeleted):
    """Nothing is added or changed by a form; moves and replicas change by actions alone."""

    preserve_filters = False  # they are for the way back from a form; Django resolves the address of every row for them

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Without the scripts of a form."""
        return super().render_change_form(request, context | {"media": Media()}, *args, **kwargs)


class LookedAt(LookOnly):
    """Whose page is its fields, under its own name."""

    change_form_template = "dashboard/look_page.html"

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        named = {"title": str(context["original"]), "subtitle": None}
        return super().render_change_form(request, context | named, *args, **kwargs)


class InSight(admin.ModelAdmin):
    """Rows of apps that the user sees; of others Django says that there is none."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return in_sight(super().get_queryset(request), user_of(request))


_REGIONS = "_regions"


def regions_of(request: HttpRequest) -> list[Region]:
    """All there are, read once for a request."""
    if not hasattr(request, _REGIONS):
        setattr(request, _REGIONS, queries.every_region())
    found: list[Region] = getattr(request, _REGIONS)
    return found


class RegionFilter(admin.RelatedFieldListFilter):
    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        return [(region.pk, str(region)) for region in regions_of(request)]


class TeamFilter(admin.RelatedFieldListFilter):
    """By the team that owns the app; names only teams that own something in sight."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = "team"

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        user = user_of(request)
        return shared(f"teams:{sight_of(user)}", lambda: _teams_seen_by(user))


def _teams_seen_by(user: User) -> list[tuple[int, str]]:
    owners = visible_apps(user).order_by().values("owner")
    return list(Group.objects.filter(pk__in=owners).order_by("name").values_list("pk", "name"))

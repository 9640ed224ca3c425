from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.models import Group
from django.db import transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from migrations_app import permissions, rules
from migrations_app.admin.listing import Empty, Exported
from migrations_app.admin.reading import ReadFirst
from migrations_app.admin.recording import Recorded
from migrations_app.admin.sight import NeverDeleted, RegionFilter, TeamFilter, regions_of
from migrations_app.admin.trail import WithTrail
from migrations_app.dashboard.app_page import about
from migrations_app.dashboard.display import NOTHING, badge, markup, page_at
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import App, AppMigration, Region, SourceReplica
from migrations_app.models.selecting import one_of
from migrations_app.permissions import Verb
from migrations_app.prepared import prepared
from migrations_app.states import ACTIVE, ReplicaState

_FIELDS = ["slug", "owner", "region", "database", "blobs", "program", "hostname", "port", "health_path"]

_MOVED_AND_KEPT = f"""
SELECT app.id, move.id, move.status, replica.region_id
FROM migrations_app_app AS app
LEFT JOIN migrations_app_appmigration AS move ON move.app_id = app.id AND move.status {one_of(ACTIVE)}
LEFT JOIN migrations_app_sourcereplica AS replica
    ON replica.app_id = app.id AND replica.state = '{ReplicaState.RETAINED}'
WHERE app.id = ANY(%(apps)s)
"""  # noqa: S608


@admin.register(App)
class AppAdmin(ReadFirst, WithTrail, Recorded, Exported, NeverDeleted):
    list_display = ["slug", "region", "team", "hostname", "database", "way_back", "move"]
    list_filter = [("region", RegionFilter), ("owner", TeamFilter)]
    search_fields = ["slug", "hostname", "database"]
    search_help_text = "App, host name or database."
    list_only = ["slug", "region", "owner__name", "hostname", "database"]
    values_recorded = _FIELDS
    csv_columns = {
        "app": lambda app: app.slug,
        "team": lambda app: app.owner,
        "region": lambda app: app.region,
        "hostname": lambda app: app.hostname,
        "database": lambda app: app.database,
        "blobs": lambda app: app.blobs,
        "program": lambda app: app.program,
        "port": lambda app: app.port,
        "on_the_books_since": lambda app: app.created_at,
        "way_back_to": lambda app: app.kept_in,
        "active_move": lambda app: app.active_move,
        "active_status": lambda app: app.active_status,
    }

    def empty(self, request: HttpRequest) -> Empty:
        if permissions.can(user_of(request), Verb.REGISTER):
            return Empty("No app is on the books.", "Register one", reverse("admin:migrations_app_app_add"))
        return Empty("No app of your teams is on the books. An admin gives roles and teams.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[App]:
        rows, user = super().get_queryset(request).select_related("owner"), user_of(request)
        return rows if permissions.sees_every_team(user) else rows.filter(pk__in=permissions.visible_apps(user))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> App | None:
        app: App | None = super().get_object(request, object_id, from_field)
        if app is not None:
            _give_regions([app], request)
        return app

    def for_file(self, rows: QuerySet[App]) -> QuerySet[App]:
        active = AppMigration.objects.filter(app=OuterRef("pk"), status__in=ACTIVE)
        kept = SourceReplica.objects.filter(app=OuterRef("pk"), state=ReplicaState.RETAINED)
        return rows.annotate(
            active_move=Subquery(active.values("pk")[:1]),
            active_status=Subquery(active.values("status")[:1]),
            kept_in=Subquery(kept.values("region__slug")[:1]),
        )

    def complete(self, request: HttpRequest, rows: list[Any]) -> None:
        regions = _give_regions(rows, request)
        with prepared() as cursor:
            cursor.execute(_MOVED_AND_KEPT, {"apps": [app.pk for app in rows]})
            found = {pk: others for pk, *others in cursor.fetchall()}
        for app in rows:
            app.active_move, app.active_status, kept_in = found[app.pk]
            app.kept_in = regions[kept_in].slug if kept_in else None

    def get_fields(self, request: HttpRequest, obj: App | None = None) -> Any:
        if obj is None:
            return _FIELDS
        # To who may only look, Django names the owner with a link to the team's page.
        links_team = self.has_change_permission(request, obj) or user_of(request).has_perm("auth.view_group")
        return [name if name != "owner" or links_team else "team" for name in _FIELDS]

    def get_readonly_fields(self, request: HttpRequest, obj: App | None = None) -> list[str]:
        return ["slug", "region", "database", "team"] if obj else []

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "owner":
            teams = Group.objects.exclude(name__in=rules.ROLES)
            user = user_of(request)
            kwargs["queryset"] = teams if permissions.sees_every_team(user) else teams.filter(user=user)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """A change locks the app before it is read: saving writes every field, the region too, which a move may be
        about to switch; and App.clean() judges the change by the moves there are."""
        if request.method != "POST" or object_id is None:
            return super().changeform_view(request, object_id, form_url, extra_context)
        with transaction.atomic():
            app = self.get_object(request, unquote(object_id))
            if app is not None:
                App.objects.select_for_update(of=("self",), no_key=True).get(pk=app.pk)
            return super().changeform_view(request, object_id, form_url, extra_context)

    def trail_of(self, obj: App) -> dict[str, Any]:
        return {"app__id__exact": obj.pk}

    def about(self, request: HttpRequest, obj: App) -> dict[str, Any]:
        return {"title": obj.slug, "subtitle": None, **about(obj, user_of(request), regions_of(request))}

    @admin.display(ordering="owner__name")
    def team(self, app: App) -> str:
        return app.owner.name if app.owner else NOTHING

    @admin.display(description="way back to")
    def way_back(self, app: Any) -> str:
        return app.kept_in or NOTHING

    @admin.display(description="move under way")
    def move(self, app: Any) -> str:
        if not app.active_move:
            return NOTHING
        page = page_at(AppMigration, app.active_move)
        return markup('<a href="{}">{}</a>', page, badge(app.active_status))


def _give_regions(apps: Iterable[App], request: HttpRequest) -> dict[int, Region]:
    """All regions by their keys; the apps share them."""
    regions = {region.pk: region for region in regions_of(request)}
    for app in apps:
        app.region = regions[app.region_id]
    return regions

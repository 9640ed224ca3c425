"""Regions and apps."""

from __future__ import annotations

from django.db.models import F, FilteredRelation, Q, QuerySet
from ninja import Router

from migrations_app import permissions, queries
from migrations_app.api import shapes
from migrations_app.api.gate import Request, acting
from migrations_app.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from migrations_app.errors import NotFound
from migrations_app.models import App, Region
from migrations_app.permissions import Verb
from migrations_app.states import ACTIVE

router = Router(tags=["Regions and apps"])


@router.get("/regions", response=shapes.Regions)
def list_regions(request: Request) -> dict[str, list[str]]:
    """The regions."""
    permissions.require(acting(request, Verb.VIEW), Verb.VIEW)
    return {"regions": list(Region.objects.values_list("slug", flat=True))}


@router.get("/regions/{slug:region}", response=shapes.RegionShape)
def get_region(request: Request, region: str) -> dict[str, object]:
    """One region: whether it accepts moves, and when they may begin."""
    user = acting(request, Verb.VIEW)
    permissions.require(user, Verb.VIEW)
    found = Region.objects.filter(slug=region).first()
    if found is None:
        raise NotFound(f"There is no region {region}.", hint="GET /v1/regions lists them.", code="unknown_region")
    return {
        "region": found.slug,
        "name": found.name,
        "accepts_moves": found.accepts_moves,
        "window": str(found.window) if found.window else None,
        "apps": queries.apps_by_region(viewer=user).get(found.pk, 0),
    }


@router.get("/apps", response=shapes.Apps)
def list_apps(request: Request, cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT) -> dict[str, object]:
    """The apps that the caller sees, by name."""
    apps = permissions.visible_apps(acting(request, Verb.VIEW))
    found, following = page(_with_active(apps), ["slug"], cursor=cursor, limit=limit)
    return {"apps": [_describe(app) for app in found], "next": following}


@router.get("/apps/{slug:app_id}", response=shapes.AppShape)
def get_app(request: Request, app_id: str) -> dict[str, object]:
    """One app: where it lives, and its move under way."""
    app = queries.app(app_id, viewer=acting(request, Verb.VIEW))
    return _describe(_with_active(App.objects.filter(pk=app.pk)).get())


def _with_active(apps: QuerySet[App]) -> QuerySet[App]:
    """Each with `active`, the id of its move under way; there is one at most."""
    return apps.select_related("region", "owner").annotate(
        under_way=FilteredRelation("migrations", condition=Q(migrations__status__in=sorted(ACTIVE))),
        active=F("under_way__pk"),
    )


def _describe(app: App) -> dict[str, object]:
    return {
        "app_id": app.slug,
        "team": app.owner.name if app.owner else None,
        "region": app.region.slug,
        "hostname": app.hostname,
        "active_migration_id": app.active,  # type: ignore[attr-defined]
    }

"""Where the console's own pages are, on the admin site."""

from __future__ import annotations

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from migrations_app.dashboard import commenting, find, live, move_page, new_move, overview, replica_page
from migrations_app.dashboard.typed import never_lost

_MOVE = "migrations_app/appmigration/<uuid:move_id>"


def pages(site: AdminSite) -> list[URLPattern]:
    of_site = {"site": site}
    return [
        path("find/", site.admin_view(find.find), name="find"),
        path("live/", live.polled(site, overview.news), of_site, name="overview_live"),
        path(f"{_MOVE}/comment/", never_lost(site, commenting.comment), name="move_comment"),
        path(f"{_MOVE}/live/", live.polled(site, move_page.news), of_site, name="move_live"),
        path(
            "migrations_app/sourcereplica/<uuid:move_id>/live/",
            live.polled(site, replica_page.news),
            of_site,
            name="replica_live",
        ),
        # Asking and deciding.
        path("new-move/", never_lost(site, new_move.new_move), of_site, name="new_move"),
        path("new-move/where/", live.polled(site, new_move.destinations), of_site, name="new_move_where"),
        path("new-move/look/", live.polled(site, new_move.look), of_site, name="new_move_look"),
    ]

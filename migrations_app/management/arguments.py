"""Arguments that name something on the books: how they are read, and what a shell may offer for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from django.contrib.auth import get_user_model
from django.db.models import QuerySet

from migrations_app import queries
from migrations_app.models import App, AppMigration, Region
from migrations_app.states import ReplicaState

Word = tuple[str, str]
"""What may be typed, and what it is in a few words."""


@dataclass(frozen=True)
class Named:
    """The `type` of such an argument for argparse: what was copied with blanks or capitals counts all the same.

    `words` asks the portal's database what there is.
    """

    what: str
    words: Callable[[], Iterable[Word]]
    has_capitals: bool = False

    def __call__(self, text: str) -> str:
        return text.strip() if self.has_capitals else text.strip().lower()


def _apps() -> Iterable[Word]:
    return App.objects.order_by("slug").values_list("slug", "region__slug")


def _regions() -> Iterable[Word]:
    for region in Region.objects.order_by("slug"):
        yield region.slug, "" if region.accepts_moves else "closed to moves"


def _users() -> Iterable[Word]:
    for user in get_user_model().objects.filter(is_active=True).order_by("username").prefetch_related("groups"):
        yield user.get_username(), ", ".join(group.name for group in user.groups.all())


def _described(moves: QuerySet[AppMigration]) -> Iterable[Word]:
    for move in moves.select_related("app", "source_region", "dest_region").order_by("-initiated_at"):
        yield str(move.pk), f"{move.app} {move.source_region} → {move.dest_region} {move.status}"


def _active() -> Iterable[Word]:
    return _described(AppMigration.objects.filter(pk__in=[move.pk for move in queries.active_moves(viewer=None)]))


def _waiting() -> Iterable[Word]:
    waiting = queries.open_approvals(viewer=None)
    return _described(AppMigration.objects.filter(pk__in=[approval.migration_id for approval in waiting]))


def _retained() -> Iterable[Word]:
    return _described(AppMigration.objects.filter(source_replica__state=ReplicaState.RETAINED))


def _in_use() -> Iterable[Word]:
    yield from _active()
    yield from _retained()


APP = Named("apps", _apps)
REGION = Named("regions", _regions)
USER = Named("users", _users, has_capitals=True)
MOVE = Named("moves", _in_use)
ACTIVE_MOVE = Named("active-moves", _active)
WAITING_MOVE = Named("waiting-moves", _waiting)
RETAINED = Named("replicas", _retained)

ALL = {named.what: named for named in (APP, REGION, USER, MOVE, ACTIVE_MOVE, WAITING_MOVE, RETAINED)}

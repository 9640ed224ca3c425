"""How many times each page asks the database, with as many rows as years leave: at most fifteen, the session and the
user included, and no more of it where there are twice as many rows."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from migrations_app.actions import deciding, requesting
from migrations_app.models import (
    Alarm,
    ApiToken,
    App,
    AppMigration,
    Approval,
    AuditEvent,
    OutboxMessage,
    Region,
    SourceReplica,
    Subscription,
)
from migrations_app.states import ApprovalState, ReplicaState, Status
from portal.sandbox.paper import Wanted, fill
from tests.people import establish_roles
from tests.test_permissions_urls import address, routes

pytestmark = pytest.mark.django_db

MOST = 15
SMALL = Wanted(apps=45, moves=400, events=4000, live=20)
DOUBLED = Wanted(apps=90, moves=800, events=8000, live=40)
PEOPLE = {"Operator": "operator-1", "Approver": "approver-1"}
"""One who sees every team, and one who sees three; of whose apps moves of all kinds are."""

OF_MOVES = ("appmigration/", "sourcereplica/", "approval/")
"""Whose pages differ by where the move stands."""
NO_PAGES = ("export/", "admin/jsi18n/", "admin/logout/")
"""Files, as long as what they hold; and what shows nothing."""


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, settings: LazySettings, caplog: pytest.LogCaptureFixture) -> None:
    """Preflight finds nothing, as the regions are on paper, and Django does not log what is refused."""
    caplog.set_level(logging.CRITICAL, logger="django.request")
    settings.MOVES_FOUR_EYES = frozenset({"move", "teardown"})
    for module in (requesting, deciding):
        monkeypatch.setattr(module, "look", lambda row: [])


def moves_to_look_at() -> dict[str, AppMigration]:
    """Of each status one, and those with a replica in each state, and one whose teardown waits for approval."""
    found: dict[str, AppMigration] = {}
    for status in Status:
        found[status] = AppMigration.objects.filter(status=status).earliest("initiated_at")
    for replica in SourceReplica.objects.exclude(state=ReplicaState.TEARING_DOWN).order_by("created_at"):
        found.setdefault(f"replica {replica.state}", replica.migration)
    found["teardown asked"] = Approval.objects.filter(state=ApprovalState.OPEN, act="teardown").earliest("id").migration
    return found


def things(move: AppMigration) -> dict[str, Any]:
    """What the routes name, as tests/test_permissions_urls.py does."""
    replica = getattr(move, "source_replica", None) or SourceReplica.objects.latest("created_at")
    user = User.objects.get(username="viewer-1")
    message = OutboxMessage.objects.latest("id")
    return {
        "subscription": message.subscription_id,
        "subscription_id": message.subscription_id,
        "outboxmessage": message.pk,
        "message_id": message.pk,
        "app": move.app_id,
        "app_id": move.app_id,
        "appmigration": move.pk,
        "move_id": move.pk,
        "approval": (move.approvals.first() or Approval.objects.latest("id")).pk,
        "sourcereplica": replica.pk,
        "alarm": Alarm.objects.latest("id").pk,
        "auditevent": AuditEvent.objects.filter(migration=move).latest("id").pk,
        "region": Region.objects.get(slug="eu-north-1").pk,
        "user": user.pk,
        "id": user.pk,
        "apitoken": ApiToken.objects.latest("id").pk,
        "token_id": 0,
        "group": Group.objects.get(name="team-02").pk,
        "kind": "csv",
        "content_type_id": ContentType.objects.get_for_model(App).pk,
    }


def pages(user: User) -> Iterator[tuple[str, str]]:
    """Every page, by a name that is the same whatever the rows are, with its address."""
    moves = moves_to_look_at()
    for route in sorted(set(routes())):
        if any(part in route for part in NO_PAGES):
            continue
        of_moves = any(model in route for model in OF_MOVES) and "<" in route
        for what, move in moves.items() if of_moves else [("", moves[Status.COMPLETED])]:
            yield f"{route} {what}".rstrip(), address(route, things(move))
    slug = moves["replica torn_down"].app.slug
    yield "find a move", f"/admin/find/?q={moves[Status.COMPLETED].pk}"
    yield "find an app", f"/admin/find/?q={slug}"
    for where in ("", "where/", "look/"):
        query = urlencode({"app": slug, "dest": "us-west-2", "strategy": "live"})
        yield f"new move {where}", f"/admin/new-move/{where}?{query}"
    for model_admin in admin.site._registry.values():
        if model_admin.has_view_permission(_request(user)):
            yield from lists(model_admin, user, moves[Status.COMPLETED])


def lists(model_admin: Any, user: User, move: AppMigration) -> Iterator[tuple[str, str]]:
    """A list, searched and by each of its filters."""
    opts = model_admin.opts
    base = f"/admin/{opts.app_label}/{opts.model_name}/"
    if model_admin.search_fields:
        yield f"{base} searched", f"{base}?{urlencode({'q': 'billing'})}"
        yield f"{base} searched for an id", f"{base}?{urlencode({'q': str(move.pk)})}"
    changelist = model_admin.get_changelist_instance(_request(user))
    for spec in changelist.filter_specs:
        for choice in list(spec.choices(changelist))[1:4]:
            yield f"{base} by {spec.title}", f"{base}{choice['query_string']}"


def _request(user: User) -> Any:
    request = RequestFactory().get("/")
    request.user = user
    return request


def counted(who: str) -> dict[str, tuple[int, str]]:
    """The queries of each page, the most of all that have its name, and the most frequent one, without its values."""
    user, client = User.objects.get(username=PEOPLE[who]), Client()
    client.force_login(user)
    found: dict[str, tuple[int, str]] = {}
    for name, url in list(pages(user)):
        with transaction.atomic():
            if "/approve/" in name:
                client.get(url)  # on paper the approval is of something else, and is written anew once
            with CaptureQueriesContext(connection) as seen:
                response = client.get(url)
                assert response.status_code != 500, url
            transaction.set_rollback(True)
        asked = [query["sql"] or "prepared before" for query in seen.captured_queries]
        statements = [re.sub(r"'[^']*'|\b\d+\b", "?", sql) for sql in asked]
        statements = [sql for sql in statements if not sql.startswith(("SAVEPOINT", "RELEASE"))]
        most = max(statements, key=statements.count) if statements else ""
        found[name] = max(found.get(name, (0, "")), (len(statements), f"{statements.count(most)} × {most[:300]}"))
    return found


def make_tokens(count: int) -> None:
    """So many for each of some people."""
    until = timezone.now() + timedelta(days=1)
    ApiToken.objects.bulk_create(
        ApiToken(user=user, name=f"ci {n}", digest=f"{user.pk} {n}", prefix="mvt_", scopes=["read"], expires_at=until)
        for user in User.objects.order_by("pk")[:10]
        for n in range(count // 5)
    )


def tell(apps: int) -> None:
    """Subscriptions, one for every fifteen apps, and a delivery of the newest events to each."""
    events = (
        AuditEvent.objects.filter(migration__app__owner__isnull=False)
        .select_related("app__owner", "migration")
        .order_by("-id")
    )
    for number, event in enumerate(events[: apps // 15]):
        team = event.app.owner if event.app else None
        told = Subscription.objects.create(name=f"n{number}", team=team, channel="mail", target="a@b.test")
        OutboxMessage.objects.create(subscription=told, event=event, migration=event.migration, type="move.held")  # type: ignore[misc]


def counts_with(wanted: Wanted, who: str) -> dict[str, tuple[int, str]]:
    with transaction.atomic():
        fill(wanted)
        make_tokens(wanted.apps)
        tell(wanted.apps)
        counts = counted(who)
        transaction.set_rollback(True)
    return counts


def test_no_page_asks_more_often_for_more_rows() -> None:
    establish_roles()
    few, many = counts_with(SMALL, "Operator"), counts_with(DOUBLED, "Operator")
    assert {name: count for name, count in many.items() if count[0] > MOST} == {}
    assert {name: (few[name][0], *count) for name, count in many.items() if count[0] > few[name][0]} == {}


def test_no_page_asks_often_for_who_sees_some_teams_only() -> None:
    establish_roles()
    assert {name: count for name, count in counts_with(SMALL, "Approver").items() if count[0] > MOST} == {}

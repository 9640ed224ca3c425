"""A portal with something on every page, and the addresses of all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.conf import LazySettings
from django.contrib.auth.models import User
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone

from migrations_app import actions, tokens
from migrations_app.dashboard.display import list_of, page_of
from migrations_app.engine.alarms import Trouble, raise_
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
from migrations_app.models.alarm import AlarmCode
from migrations_app.states import Status, Step
from tests import on_paper
from tests.browser.colleagues import TEAM
from tests.conftest import Shop, moved

LISTS = (
    AppMigration,
    Approval,
    SourceReplica,
    App,
    Region,
    Alarm,
    AuditEvent,
    Subscription,
    OutboxMessage,
    User,
    ApiToken,
)


@dataclass
class Scene:
    """`done` was really made, `held` is on paper; `waiting` waits for approval."""

    done: AppMigration
    held: AppMigration
    waiting: AppMigration

    @classmethod
    def lay(cls, shop: Shop, other: Shop, rita: User, settings: LazySettings) -> Scene:
        done = moved(shop.app, "eu-west-1")
        settings.MOVES_FOUR_EYES = frozenset({"move"})
        waiting = actions.request_move(
            app_slug=other.app.slug, dest_slug="eu-west-1", acting_user=rita, reason="closer to its users"
        )
        held = on_paper.move(
            on_paper.app("paper", TEAM),
            status=Status.HELD,
            current_step=Step.UNBLOCKING_WRITES,
            pivot_at=Now(),
            last_error="Edge 192.0.2.1 does not answer.",
        )
        on_paper.move(on_paper.app("page", TEAM), status=Status.RUNNING, current_step=Step.REQUESTED)
        on_paper.app("idle", TEAM)
        told = Subscription.objects.create(name="ops", channel="webhook", target="https://hooks.example.com/moves")
        OutboxMessage.objects.create(
            subscription=told,
            event=done.audit_events.latest("id"),
            migration=done,
            type="move.completed",
            payload={"type": "move.completed", "data": {"sentence": "A long one, of many words, " * 9}},
            dead_at=Now(),
            last_error="The receiver answered 500.",
        )
        behind = "The replica is behind."
        raise_(Trouble(AlarmCode.REPLICA_LAGS, str(done.pk), behind, "Look at its slot.", migration=done))
        until = timezone.now() + timedelta(days=30)
        tokens.make(user=rita, name="nightly CI", scopes=["read", "request"], expires_at=until, acting_user=rita)
        return cls(done, held, waiting)

    def paths(self) -> list[str]:
        """Every kind of page that an admin sees."""

        def of(verb: str, move: AppMigration) -> str:
            return reverse(f"admin:migrations_app_appmigration_{verb}", args=[move.pk])

        things = [self.done, self.held, self.waiting, self.done.source_replica, self.done.app, self.done.dest_region]
        things += [self.waiting.approvals.get(), Alarm.objects.get(), AuditEvent.objects.latest("pk")]
        things += [Subscription.objects.get(), OutboxMessage.objects.get()]
        return [
            reverse("admin:index"),
            *map(list_of, LISTS),
            *map(page_of, things),
            f"{reverse('admin:new_move')}?app=idle&dest=eu-west-1&strategy=live",
            of("approve", self.waiting),
            of("reject", self.waiting),
            of("abort", self.waiting),
            of("retry", self.held),
            of("reverse", self.done),
            of("keep", self.done),
            of("teardown", self.done),
            reverse("admin:migrations_app_subscription_add"),
            reverse("admin:password_change"),
            reverse("admin:migrations_app_apitoken_add"),
            reverse("v1:openapi-view"),
        ]

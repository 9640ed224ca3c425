from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.views.decorators.http import require_POST

from migrations_app import actions, permissions, queries
from migrations_app.admin.listing import Empty, Listed
from migrations_app.admin.searching import Searched
from migrations_app.admin.sight import LookOnly, regions_of
from migrations_app.dashboard.confirming import as_http
from migrations_app.dashboard.display import NOTHING, badge, link, markup, page_of, time_column
from migrations_app.dashboard.viewer import user_of
from migrations_app.errors import Refused
from migrations_app.models import OutboxMessage
from migrations_app.models.app_migration import LONG_FIELDS
from migrations_app.permissions import Verb

_BADGES = {"sent": "done", "pending": "pending", "dead": "failed"}
"""The look of each state, as badge() knows it."""


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(state, state) for state in _BADGES]

    def queryset(self, request: HttpRequest, queryset: QuerySet[OutboxMessage]) -> QuerySet[OutboxMessage]:
        if self.value() == "pending":
            return queryset.filter(sent_at__isnull=True, dead_at__isnull=True)
        return queryset.filter(**{f"{self.value()}_at__isnull": False}) if self.value() in _BADGES else queryset


class SubscriptionFilter(admin.RelatedFieldListFilter):
    """Names only those in sight."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        return permissions.visible_subscriptions(user_of(request)).order_by("name").values_list("pk", "name")


@admin.register(OutboxMessage)
class DeliveryAdmin(Searched, Listed, LookOnly):
    """What became of each message; sent by `manage.py deliver` alone."""

    list_display = ["when", "subscription", "type", "move", "state_shown", "attempts", "answer", "last_error"]
    list_filter = [StateFilter, ("subscription", SubscriptionFilter)]
    list_defer = ["payload", *(f"migration__{name}" for name in LONG_FIELDS)]
    list_prefetch = ["subscription", "migration__app"]
    search_fields = ["migration__id", "migration__app__slug"]
    search_help_text = "App, or id of the move."
    id_searched = "migration"
    app_searched = "migration__app"
    fields = [
        "when",
        "state_shown",
        "subscription_page",
        "event_type",
        "move",
        "tries",
        "next_try",
        "sent",
        "dead",
        "answer",
        "last_error",
        "webhook_id",
        "said",
    ]

    def complete(self, request: HttpRequest, rows: list[OutboxMessage]) -> None:
        queries.give_regions((message.migration for message in rows), regions_of(request))

    def empty(self, request: HttpRequest) -> Empty:
        return Empty("Nothing was to be told yet.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutboxMessage]:
        return permissions.visible_messages(user_of(request))

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        message = context["original"]
        may = permissions.can(user_of(request), Verb.RESEND)
        context |= {"title": str(message), "subtitle": None, "is_resent": may and message.state == "dead"}
        return super().render_change_form(request, context, *args, **kwargs)

    def get_urls(self) -> list[URLPattern]:
        again = self.admin_site.admin_view(require_POST(as_http()(self.send_again)))
        return [
            path("<int:message_id>/again/", again, name="migrations_app_outboxmessage_again"),
            *super().get_urls(),
        ]

    def send_again(self, request: HttpRequest, message_id: int) -> HttpResponse:
        try:
            actions.send_again(message_id=message_id, acting_user=user_of(request))
        except Refused as error:
            messages.error(request, str(error))
        else:
            messages.success(request, "It is tried again now.")
        return redirect(page_of(OutboxMessage(pk=message_id)))

    # -- columns ------------------------------------------------------------------------------------------------------

    @admin.display(description="at", ordering="id")
    def when(self, message: OutboxMessage) -> str:
        return time_column(message.created_at)

    @admin.display(description="move")
    def move(self, message: OutboxMessage) -> str:
        return link(message.migration)

    @admin.display(description="subscription")
    def subscription_page(self, message: OutboxMessage) -> str:
        return link(message.subscription)

    @admin.display(description="event")
    def event_type(self, message: OutboxMessage) -> str:
        return message.type

    @admin.display(description="tries")
    def tries(self, message: OutboxMessage) -> int:
        return message.attempts

    @admin.display(description="state")
    def state_shown(self, message: OutboxMessage) -> str:
        return badge(_BADGES[message.state], message.state)

    @admin.display(description="answer", ordering="last_status")
    def answer(self, message: OutboxMessage) -> str:
        return f"HTTP {message.last_status}" if message.last_status else NOTHING

    @admin.display(description="next try")
    def next_try(self, message: OutboxMessage) -> str:
        return time_column(message.next_try_at) if message.state == "pending" else NOTHING

    @admin.display(description="sent")
    def sent(self, message: OutboxMessage) -> str:
        return time_column(message.sent_at)

    @admin.display(description="dead since")
    def dead(self, message: OutboxMessage) -> str:
        return time_column(message.dead_at)

    @admin.display(description="what it says")
    def said(self, message: OutboxMessage) -> str:
        if message.payload is None:
            return "It is put together at the first try."
        return markup('<pre class="said">{}</pre>', json.dumps(message.payload, indent=2, ensure_ascii=False))

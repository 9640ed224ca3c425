from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from migrations_app import actions, permissions, rules
from migrations_app.admin.listing import Empty, Listed
from migrations_app.admin.recording import Recorded
from migrations_app.admin.sight import NeverDeleted
from migrations_app.admin.trail import WithTrail
from migrations_app.channels import Channel
from migrations_app.dashboard.confirming import as_http
from migrations_app.dashboard.display import NOTHING, list_of, markup, page_of
from migrations_app.dashboard.viewer import user_of
from migrations_app.errors import InvalidInput, Refused, StepError
from migrations_app.event_types import EVENT_TYPES, TRANSITIONS
from migrations_app.models import OutboxMessage, Subscription
from migrations_app.permissions import Verb

_FIELDS: list[Any] = ["name", "team", "channel", "target", "events", "enabled"]


class SubscriptionForm(forms.ModelForm):
    events = forms.MultipleChoiceField(
        choices=[(name, name) for name in EVENT_TYPES],
        initial=TRANSITIONS,
        widget=forms.CheckboxSelectMultiple,
        help_text="The first twelve change a status.",
    )


@admin.register(Subscription)
class SubscriptionAdmin(WithTrail, Recorded, Listed, NeverDeleted):
    form = SubscriptionForm
    fields = _FIELDS
    values_recorded = _FIELDS
    list_display = ["name", "about", "channel", "target", "enabled", "waiting", "dead"]
    list_filter = ["channel", "enabled"]
    search_fields = ["name", "target"]
    search_help_text = "Its name, or where it is sent."

    def empty(self, request: HttpRequest) -> Empty:
        if self.has_add_permission(request):
            return Empty("Nobody is told of anything.", "Add one", reverse("admin:migrations_app_subscription_add"))
        return Empty("Nobody is told of anything about your teams. An admin adds subscriptions.")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Subscription]:
        undone = Q(messages__sent_at__isnull=True, messages__dead_at__isnull=True)
        return (
            permissions.visible_subscriptions(user_of(request))
            .select_related("team")
            .annotate(
                waiting_count=Count("messages", filter=undone),
                dead_count=Count("messages", filter=Q(messages__dead_at__isnull=False)),
            )
            .order_by("name")
        )

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        kwargs["queryset"] = Group.objects.exclude(name__in=rules.ROLES)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Subscription | None = None) -> Any:
        # To who may only look, Django names the team with a link to its page.
        links_team = obj is None or self.has_change_permission(request, obj)
        return [name if name != "team" or links_team else "about" for name in _FIELDS]

    def get_readonly_fields(self, request: HttpRequest, obj: Subscription | None = None) -> list[str]:
        return ["about"]

    def trail_of(self, obj: Subscription) -> dict[str, Any]:
        return {"target": f"subscription {obj}"}

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if subscription := context.get("original"):
            context |= {
                "title": str(subscription),
                "subtitle": None,
                "deliveries_url": list_of(OutboxMessage, subscription__id__exact=subscription.pk),
                "is_signed": subscription.channel == Channel.WEBHOOK
                and permissions.can(user_of(request), Verb.EDIT_SUBSCRIPTIONS),
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        links = {"exports": {"All deliveries": list_of(OutboxMessage)}}
        return super().changelist_view(request, links | (extra_context or {}))

    # -- the signing key ---------------------------------------------------------------------------------------------

    def get_urls(self) -> list[URLPattern]:
        def page(name: str, view: Any) -> URLPattern:
            wrapped = self.admin_site.admin_view(require_POST(as_http()(never_cache(view))))
            return path(f"<int:subscription_id>/{name}/", wrapped, name=f"migrations_app_subscription_{name}")

        return [page("key", self.show_key), page("rotate", self.rotate), *super().get_urls()]

    def show_key(self, request: HttpRequest, subscription_id: int) -> HttpResponse:
        user, version = user_of(request), _version(request)
        page = page_of(Subscription(pk=subscription_id))
        try:
            key = actions.show_key(subscription_id=subscription_id, acting_user=user, version=version)
        except (InvalidInput, Refused, StepError) as error:
            messages.error(request, str(error))
            return redirect(page)
        context = {**self.admin_site.each_context(request), "title": "The signing key", "key": key, "back": page}
        return TemplateResponse(request, "admin/migrations_app/subscription/key.html", context)

    def rotate(self, request: HttpRequest, subscription_id: int) -> HttpResponse:
        user, version = user_of(request), _version(request)
        try:
            actions.rotate_key(subscription_id=subscription_id, acting_user=user, version=version)
        except (InvalidInput, Refused) as error:
            messages.error(request, str(error))
        else:
            messages.success(
                request, "The key is rotated. For a day the old one signs as well: give the receiver the new one."
            )
        return redirect(page_of(Subscription(pk=subscription_id)))

    # -- columns ------------------------------------------------------------------------------------------------------

    @admin.display(description="team", ordering="team__name")
    def about(self, subscription: Subscription) -> str:
        return subscription.team.name if subscription.team else "every team"

    @admin.display(description="waiting")
    def waiting(self, subscription: Any) -> str:
        return _counted(subscription, subscription.waiting_count, "pending")

    @admin.display(description="dead")
    def dead(self, subscription: Any) -> str:
        return _counted(subscription, subscription.dead_count, "dead")


def _version(request: HttpRequest) -> int:
    """The version of the key that the page showed; 0, which no key has, if the form does not say."""
    version = request.POST.get("version", "")
    return int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0


def _counted(subscription: Subscription, count: int, state: str) -> str:
    if not count:
        return NOTHING
    address = list_of(OutboxMessage, subscription__id__exact=subscription.pk, state=state)
    return markup('<a href="{}">{}</a>', address, count)

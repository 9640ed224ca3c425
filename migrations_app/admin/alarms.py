from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse

from migrations_app import alarms
from migrations_app.admin.listing import Empty, Listed
from migrations_app.admin.sight import LookedAt
from migrations_app.dashboard.alarm_rows import subject_of
from migrations_app.dashboard.display import NOTHING, link, list_of, markup, time_column
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import Alarm


class StandingFilter(admin.SimpleListFilter):
    """What is wrong now, unless what is over is asked for."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [("over", "over"), ("all", "all")]

    def choices(self, changelist: ChangeList) -> Any:
        first, *others = super().choices(changelist)
        return [{**first, "display": "wrong now"}, *others]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> QuerySet[Alarm]:
        return queryset if self.value() == "all" else queryset.filter(ended_at__isnull=self.value() != "over")


@admin.register(Alarm)
class AlarmAdmin(Listed, LookedAt):
    """Raised and ended by the reconciler alone."""

    list_display = ["since_shown", "code", "subject", "sentence", "hint", "ended"]
    list_filter = [StandingFilter, "code", "since"]
    search_fields = ["about", "sentence"]
    search_help_text = "Region, app, or any word of it."

    def empty(self, request: HttpRequest) -> Empty:
        over = list_of(Alarm, **{StandingFilter.parameter_name: "over"})
        if alarms.silence():
            return Empty("No other alarm is open, and none can be raised until the reconciler is back.")
        return Empty("Nothing that you see is wrong now.", "What is over", over)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Alarm]:
        return alarms.in_sight_of(user_of(request))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        is_shown = lookup.partition("__")[0] in (StandingFilter.parameter_name, "code", "since", "region")
        return is_shown and super().lookup_allowed(lookup, value, request)

    def get_fields(self, request: HttpRequest, obj: Alarm | None = None) -> Any:
        return ["code", "sentence", "hint", ("since_shown", "seen", "ended"), ("region_page", "move_page")]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """That the reconciler is silent is no row, and stands above whatever is listed."""
        return super().changelist_view(request, {"above": alarms.silence(), **(extra_context or {})})

    @admin.display(description="about", ordering="about")
    def subject(self, alarm: Alarm) -> str:
        subject = subject_of(alarm)
        return markup('<a href="{}">{}</a>', subject.url, subject.name) if subject else alarm.about

    @admin.display(description="since", ordering="since")
    def since_shown(self, alarm: Alarm) -> str:
        return time_column(alarm.since)

    @admin.display(description="last seen", ordering="seen_at")
    def seen(self, alarm: Alarm) -> str:
        return time_column(alarm.seen_at)

    @admin.display(description="over since", ordering="ended_at")
    def ended(self, alarm: Alarm) -> str:
        return time_column(alarm.ended_at)

    @admin.display(description="region")
    def region_page(self, alarm: Alarm) -> str:
        return link(alarm.region) if alarm.region else NOTHING

    @admin.display(description="move")
    def move_page(self, alarm: Alarm) -> str:
        return link(alarm.migration) if alarm.migration else NOTHING

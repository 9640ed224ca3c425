"""The page on which a move is asked for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.html import format_html

from migrations_app import actions, permissions, queries
from migrations_app.consequences import asks_first, of_request
from migrations_app.dashboard.confirming import BAD_REQUEST, as_http, problems_of
from migrations_app.dashboard.display import page_of
from migrations_app.dashboard.verbs import what_happened
from migrations_app.dashboard.viewer import user_of
from migrations_app.errors import Blocker, InvalidInput, Refused
from migrations_app.models import App, AppMigration, Region
from migrations_app.permissions import Verb, visible_apps
from migrations_app.queries import AUTO
from migrations_app.states import Act, Strategy

Destinations = list[tuple[Region, list[Blocker]]]


def everywhere(destinations: Destinations) -> list[Blocker]:
    """What forbids a move to whichever region: it is said once."""
    elsewhere = [blockers for _, blockers in destinations if "same_region" not in {b.code for b in blockers}]
    return [b for b in elsewhere[0] if all(b in others for others in elsewhere)] if elsewhere else []


class OpenRegions(forms.RadioSelect):
    """Regions where the app cannot move are shown, with why, and cannot be chosen."""

    why: dict[str, str] = {}

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        option = super().create_option(name, value, *args, **kwargs)
        why = self.why.get(str(value))
        if why:
            option["label"] = format_html('{} <small class="why">– {}</small>', option["label"], why)
            option["attrs"]["disabled"] = True
        return option


class RequestForm(forms.Form):
    dest = forms.ChoiceField(label="Destination", widget=OpenRegions)
    strategy = forms.ChoiceField(
        choices=[
            (Strategy.SNAPSHOT, "Snapshot: writes stay blocked while the data is copied"),
            (Strategy.LIVE, "Live: writes are blocked for the switch only"),
            (AUTO, "Live where that is possible, else snapshot"),
        ],
        initial=Strategy.SNAPSHOT,
        help_text="How the data is brought over.",
    )
    reason = forms.CharField(
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="For whoever approves it, and those who look at it later.",
    )
    ticket_url = forms.CharField(
        label="Ticket (optional)",
        required=False,
        widget=forms.URLInput(attrs={"class": "vURLField"}),
        help_text="Its web address.",
    )
    not_before = forms.DateTimeField(
        label="Not before (optional)",
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    block_budget_seconds = forms.IntegerField(
        label="Writes blocked for at most, in seconds (optional)",
        required=False,
        help_text="Past it, before the switch, the move aborts itself. Empty: as the settings say.",
    )

    def __init__(self, *args: Any, destinations: Destinations, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        general = everywhere(destinations)
        dest = self.fields["dest"]
        dest.choices = [  # type: ignore[attr-defined]
            (region.slug, f"{region.slug} – {region.name}" if region.name else region.slug)
            for region, _ in destinations
        ]
        dest.widget.why = {
            region.slug: " ".join(b.reason for b in blockers if b not in general) or ("See above." if blockers else "")
            for region, blockers in destinations
        }
        zone, start = timezone.get_current_timezone_name(), self.fields["not_before"]
        start.label = f"Not before, in {zone} (optional)"
        start.help_text = (
            f"It is {timezone.localtime():%Y-%m-%d %H:%M} {zone} now. Empty: as soon as nothing stands in the way."
        )


@as_http()
def request_move(request: HttpRequest, app_id: int, site: AdminSite) -> HttpResponse:
    """GET: where the app can go, and what it means. POST: ask for it, or say why not."""
    user = user_of(request)
    app = _app(app_id, user)
    permissions.require(user, Verb.REQUEST, app)
    destinations = queries.destinations(app)
    form = RequestForm(request.POST or None, destinations=destinations)
    status, problems = 200, list[Blocker]()
    if request.method == "POST":
        if form.is_valid():
            try:
                move = _ask(app, user, form.cleaned_data)
            except (Refused, InvalidInput) as error:
                status, problems = problems_of(error)
            else:
                messages.success(request, what_happened(Verb.REQUEST, move))
                return redirect(page_of(move))
        else:
            status = BAD_REQUEST
    return _page(request, app, form, site, everywhere(destinations), status, problems)


def _app(app_id: int, user: User) -> App:
    found = visible_apps(user).select_related("region", "owner").filter(pk=app_id).first()
    if found is None:
        raise Http404("There is no such app.")
    return found


def _ask(app: App, user: User, given: dict[str, Any]) -> AppMigration:
    return actions.request_move(
        app_slug=app.slug,
        dest_slug=given["dest"],
        acting_user=user,
        reason=given["reason"],
        strategy=given["strategy"],
        ticket_url=given["ticket_url"],
        not_before=given["not_before"],
        block_budget_seconds=given["block_budget_seconds"],
    )


def _page(
    request: HttpRequest,
    app: App,
    form: RequestForm,
    site: AdminSite,
    blockers: list[Blocker],
    status: int,
    problems: list[Blocker],
) -> HttpResponse:
    context = {
        **site.each_context(request),
        "title": f"Request a move: {app}, now in {app.region}",
        "opts": App._meta,
        "back": page_of(app),
        "back_to": str(app),
        "label": "Request the move",
        "dangerous": False,
        "form": form,
        "problems": problems or blockers,
        "possible": not blockers,
        "sentences": [] if blockers else of_request(app),
        "asks_first": asks_first(Act.MOVE),
    }
    return TemplateResponse(request, "dashboard/confirm.html", context, status=status)

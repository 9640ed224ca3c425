"""What a move is asked for with: the fields of the new move's page, and what can be chosen in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.contrib.auth.models import User
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from migrations_app import offers, permissions, queries
from migrations_app.clock import known_zones
from migrations_app.dashboard.display import escaped, joined, page_of
from migrations_app.errors import Blocker
from migrations_app.models import App, Region
from migrations_app.permissions import Verb, visible_apps
from migrations_app.queries import AUTO
from migrations_app.states import Strategy
from migrations_app.units import span

STRATEGIES = {
    AUTO: ("Automatic", "Live where preflight finds that possible, else snapshot."),
    str(Strategy.LIVE): ("Live", "The app goes on writing while its data is copied."),
    str(Strategy.SNAPSHOT): ("Snapshot", "The app is read-only while its data is copied."),
    str(Strategy.REHEARSAL): ("Rehearse only", "Copy, compare, time it, and undo it. The app stays where it is."),
}
"""What can be chosen, and in a few words what it means."""

FIELD_OF = {
    "reason_missing": "reason",
    "invalid_region": "dest",
    "invalid_strategy": "strategy",
    "invalid_ticket": "ticket_url",
    "invalid_time": "not_before",
    "invalid_block_budget": "block_budget_seconds",
}
"""Where on the form an error of the action belongs, by its code."""

Destinations = list[tuple[Region, list[Blocker]]]


@dataclass(frozen=True)
class Choice:
    """A region as a card. One that is shut cannot be chosen; `why`, unless it is for what forbids every move."""

    region: Region
    is_shut: bool
    why: str
    chosen: bool


class MoveForm(forms.Form):
    """`not_before` is read in the zone that its label names (`reads_in`), which comes back as `zone`: by then the
    browser may have told another one."""

    app = forms.CharField(
        error_messages={"required": "Name the app that is to move."},
        widget=forms.TextInput(
            attrs={
                "list": "apps",
                "autocomplete": "off",
                "spellcheck": "false",
                "class": "vTextField",
                # Not on `change`, which comes with the click on a destination and would take that back.
                "hx-trigger": "input changed delay:300ms",
                "hx-target": "#where",
                "hx-include": "#new-move",
                "hx-params": "app,dest",
                "hx-sync": "this:queue last",
            }
        ),
    )
    dest = forms.ChoiceField(label="Destination", error_messages={"required": "Choose where it is to go."})
    strategy = forms.ChoiceField(
        label="How",
        choices=[(strategy, name) for strategy, (name, _) in STRATEGIES.items()],
        initial=AUTO,
        error_messages={"required": "Choose how it is to move."},
    )
    reason = forms.CharField(
        error_messages={"required": "Say why, for whoever approves it and those who look at it later."},
        widget=forms.Textarea(attrs={"rows": 3, "class": "vLargeTextField"}),
        help_text="For whoever approves it, and those who look at it later.",
    )
    not_before = forms.DateTimeField(
        label="Not before (optional)",
        required=False,
        error_messages={"invalid": "Give day and time, as 2030-01-31T02:00; or leave it empty."},
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    zone = forms.CharField(required=False)
    ticket_url = forms.CharField(
        label="Ticket (optional)",
        required=False,
        widget=forms.URLInput(attrs={"class": "vURLField"}),
        help_text="Its web address.",
    )
    block_budget_seconds = forms.IntegerField(
        label="Writes blocked for at most, in seconds (optional)",
        required=False,
        error_messages={"invalid": "Give a whole number of seconds; or leave it empty."},
        help_text="Past it, before the switch, the move aborts itself. Empty: as the settings say.",
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        self.found: App | None = None
        self.fields["app"].widget.attrs["hx-get"] = reverse("admin:new_move_where")
        self.regions = {region.slug: region for region in queries.every_region()}
        dest = self.fields["dest"]
        dest.choices = [(slug, slug) for slug in self.regions]  # type: ignore[attr-defined]
        dest.error_messages["invalid_choice"] = f"There is no such region. Regions: {_listed(dest)}."
        given = str((self.data if self.is_bound else self.initial).get("zone", ""))
        self.reads_in = ZoneInfo(given) if given in known_zones() else timezone.get_current_timezone()
        start = self.fields["not_before"]
        start.label = f"Not before, in {self.reads_in} (optional)"
        start.help_text = f"It is {timezone.localtime(timezone=self.reads_in):%Y-%m-%d %H:%M} {self.reads_in} now."

    def full_clean(self) -> None:
        with timezone.override(self.reads_in):
            super().full_clean()

    def clean_zone(self) -> str:
        zone = str(self.cleaned_data["zone"])
        if zone and zone not in known_zones():
            self.add_error("not_before", "The zone of this time is not known. Give it again, as the label says.")
        return zone

    def clean_app(self) -> str:
        slug = str(self.cleaned_data["app"])
        self.found = app_of(slug, self.user)
        if self.found is None:
            raise forms.ValidationError("You see no app of that name. Choose one of the list.", code="unknown_app")
        return slug


def _listed(dest: Any) -> str:
    return ", ".join(slug for slug, _ in dest.choices) or "none yet"


def app_of(slug: str, user: User) -> App | None:
    return visible_apps(user).select_related("region", "owner").filter(slug=slug.strip()).first()


def apps_to_move(user: User) -> SafeString:
    """Each app whose move the user may ask for, as what a field can be filled with."""
    if not permissions.can(user, Verb.REQUEST):
        return mark_safe("")
    found = visible_apps(user).order_by("slug").values_list("slug", "region__slug")
    options = [f'<option value="{escaped(slug)}">in {escaped(region)}</option>' for slug, region in found]
    return joined(options)


def everywhere(destinations: Destinations) -> list[Blocker]:
    """What forbids a move to whichever region: it is said once."""
    elsewhere = [blockers for _, blockers in destinations if "same_region" not in {b.code for b in blockers}]
    return [b for b in elsewhere[0] if all(b in others for others in elsewhere)] if elsewhere else []


def where(app: App | None, wanted: str) -> dict[str, Any]:
    """`app, page, choices, general`: the app with its page, the destinations as cards, and what forbids a move to any
    of them. Without an app there is no choice yet. The only one that is possible is chosen beforehand."""
    if app is None:
        return {"app": None, "page": "", "choices": [], "general": []}
    destinations = offers.destinations(app)
    general = everywhere(destinations)
    possible = [region.slug for region, blockers in destinations if not blockers]
    if wanted not in possible:
        wanted = possible[0] if len(possible) == 1 else ""
    return {
        "app": app,
        "page": page_of(app),
        "general": general,
        "choices": [
            Choice(
                region,
                bool(blockers),
                " ".join(b.reason for b in blockers if b not in general),
                region.slug == wanted,
            )
            for region, blockers in destinations
        ],
    }


def strategies(wanted: str, estimates: Mapping[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """`value, name, means, chosen, expected` of each way to move; `expected` of those that have an estimate."""
    chosen = wanted if wanted in STRATEGIES else AUTO
    return [
        {
            "value": value,
            "name": name,
            "means": means,
            "chosen": value == chosen,
            "expected": expected_of(estimates[value]) if value in estimates else "",
            "has_estimate": value in (Strategy.LIVE, Strategy.SNAPSHOT),
        }
        for value, (name, means) in STRATEGIES.items()
    ]


def expected_of(estimate: dict[str, Any]) -> str:
    """How long it blocks writes, and takes, in the words of a card."""
    blocked, total = estimate["blocked_seconds"], estimate["seconds"]
    if blocked is None and total is None:
        return "Writes blocked: nobody has measured it."
    said = "nobody has measured it" if blocked is None else f"about {span(blocked)}"
    return f"Writes blocked: {said}" + (f"; about {span(total)} in all." if total is not None else ".")

"""The page on which a move is asked for: what is chosen, what preflight says of it, and the plan as it would run.

The browser asks for two fragments as something is chosen: the destinations of the app, at once; and what was found, in
a second or two. Without JavaScript the button Look shows them in the page.
"""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django_htmx.http import trigger_client_event

from migrations_app import actions, offers, permissions, preview, queries
from migrations_app.clock import database_now
from migrations_app.consequences import asks_first, consequences
from migrations_app.dashboard.confirming import BAD_REQUEST, as_http, problems_of
from migrations_app.dashboard.consent import begins
from migrations_app.dashboard.display import page_of
from migrations_app.dashboard.findings import findings_in
from migrations_app.dashboard.move_form import FIELD_OF, MoveForm, app_of, apps_to_move, everywhere, strategies, where
from migrations_app.dashboard.risks import headline, rehearsal_of, risks_of, tone_of
from migrations_app.dashboard.verbs import what_happened
from migrations_app.dashboard.viewer import user_of
from migrations_app.drafting import draft
from migrations_app.errors import Blocker, InvalidInput, Refused
from migrations_app.estimates import in_words
from migrations_app.models import AppMigration
from migrations_app.permissions import Verb
from migrations_app.states import Act, Strategy
from migrations_app.units import size, span


@as_http()
def new_move(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """GET: the form, filled in from the address. POST: ask for it, or say why not; with `look`, say what is found."""
    user = user_of(request)
    permissions.require(user, Verb.REQUEST)
    if request.method != "POST":
        return _page(request, site, MoveForm(initial=request.GET.dict(), user=user))
    if "look" in request.POST:
        form = MoveForm(initial=request.POST.dict(), user=user)
        return _page(request, site, form, looked=_look(request.POST, user))
    form = MoveForm(request.POST, user=user)
    if not form.is_valid() or form.found is None:
        return _page(request, site, form, status=BAD_REQUEST)
    try:
        move = _ask(user, form.cleaned_data)
    except (Refused, InvalidInput) as error:
        status, problems = problems_of(error)
        field = FIELD_OF.get(error.code) if isinstance(error, InvalidInput) else None
        if field:
            form.add_error(field, str(error))
            problems = []
        return _page(request, site, form, status=status, problems=problems)
    messages.success(request, what_happened(Verb.REQUEST, move))
    return redirect(page_of(move))


@as_http()
def destinations(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """Where the app could go. The browser is told to look anew afterwards."""
    user = user_of(request)
    permissions.require(user, Verb.REQUEST)
    slug = request.GET.get("app", "").strip()
    shown = {**where(app_of(slug, user), request.GET.get("dest", "")), "named": bool(slug)}
    return trigger_client_event(render(request, "dashboard/_new_move_where.html", shown), "chosen", after="settle")


@as_http()
def look(request: HttpRequest, site: AdminSite) -> HttpResponse:
    """What preflight finds, and the plan; and, elsewhere on the page, the estimates and whether it can be asked for."""
    user = user_of(request)
    permissions.require(user, Verb.REQUEST)
    looked = _look(request.GET, user)
    shown = {
        "looked": looked,
        "asking": _asking(request.GET.get("strategy", ""), looked),
        "strategies": strategies(request.GET.get("strategy", ""), looked.get("estimates", {})),
    }
    return render(request, "dashboard/_new_move_answer.html", shown)


def _ask(user: User, given: dict[str, Any]) -> AppMigration:
    rehearse = given["strategy"] == Strategy.REHEARSAL
    return actions.request_move(
        app_slug=given["app"],
        dest_slug=given["dest"],
        acting_user=user,
        reason=given["reason"],
        strategy=queries.AUTO if rehearse else given["strategy"],
        rehearse=rehearse,
        ticket_url=given["ticket_url"],
        not_before=given["not_before"],
        block_budget_seconds=given["block_budget_seconds"],
    )


def _look(chosen: QueryDict, user: User) -> dict[str, Any]:
    """What there is to say of what was chosen so far: nothing (`hint`), what forbids it (`blockers`), or everything
    that preview.of_draft() says, with `findings`, `sentences` and when it `begins`. `asks_first` in any case. What
    cannot be understood is passed over here: the form says so when the move is asked for."""
    form = MoveForm(chosen, user=user)
    form.full_clean()
    app, given, said = form.found, form.cleaned_data, {"asks_first": asks_first(Act.MOVE)}
    if app is None or "dest" not in given:
        what = "a destination" if app else "an app and a destination"
        hint = f"Choose {what}: then both regions are looked at, and the plan stands here."
        return {**said, "hint": hint, "blockers": everywhere(offers.destinations(app)) if app else []}
    strategy = given.get("strategy", queries.AUTO)
    rehearse = strategy == Strategy.REHEARSAL
    limits = {name: given.get(name) for name in ("not_before", "block_budget_seconds")}
    try:
        row = draft(
            app, form.regions[given["dest"]], queries.AUTO if rehearse else strategy, rehearse=rehearse, **limits
        )
    except Refused as error:
        return {**said, "blockers": list(error.blockers)}
    plan = preview.of_draft(row)
    findings = findings_in(plan["preflight"])
    last = rehearsal_of(queries.last_rehearsal(row))
    risks = risks_of(Act.MOVE, row, findings=findings, estimate=plan["estimate"], last=last)
    return {
        **said,
        **plan,
        "sentence": headline(Act.MOVE, row),
        "risks": risks,
        "tone": tone_of(risks),
        "name": Strategy(row.strategy).label,
        "steps": [_described(step) for step in plan["steps"]],
        "expected": in_words(plan["estimate"]),
        "findings": findings,
        "blockers": [] if plan["ok"] else [_unfit(findings["failed"])],
        "sentences": consequences(Verb.APPROVE, row, act=Act.MOVE),
        "begins": begins(row, database_now()),
    }


def _described(step: dict[str, Any]) -> dict[str, Any]:
    """With how much it has to do, and how long that took before."""
    expected = [size(step["bytes"])] if step["bytes"] is not None else []
    expected += [f"about {span(step['seconds'])}"] if step["seconds"] is not None else []
    words = {name: step[name].replace("`", "") for name in ("what", "changes")}
    return {**step, **words, "takes": " in ".join(expected)}


def _unfit(failed: int) -> Blocker:
    found = "one thing" if failed == 1 else f"{failed} things"
    return Blocker(
        "preflight_failed", f"Preflight found {found} that would make it fail.", "Mend that, and look again."
    )


def _asking(strategy: str, looked: dict[str, Any] | None) -> dict[str, Any]:
    """The button: what it says, and what forbids to press it."""
    return {
        "label": "Request the rehearsal" if strategy == Strategy.REHEARSAL else "Request the move",
        "blockers": (looked or {}).get("blockers", []),
        "asks_first": asks_first(Act.MOVE),
    }


def _page(
    request: HttpRequest,
    site: AdminSite,
    form: MoveForm,
    *,
    looked: dict[str, Any] | None = None,
    status: int = 200,
    problems: list[Blocker] | None = None,
) -> HttpResponse:
    user = user_of(request)
    app, dest, strategy = (str(form[name].value() or "") for name in ("app", "dest", "strategy"))
    shown = where(app_of(app, user), dest)
    asking = _asking(strategy, looked)
    context = {
        **site.each_context(request),
        "title": "New move",
        "form": form,
        "problems": problems or [],
        "apps": apps_to_move(user),
        "looked": looked,
        "asking": {**asking, "blockers": asking["blockers"] or shown["general"]},
        "strategies": strategies(strategy, (looked or {}).get("estimates", {})),
        **shown,
        "named": bool(app),
    }
    return TemplateResponse(request, "dashboard/new_move.html", context, status=status)

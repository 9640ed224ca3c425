"""The page before a deed: what will happen, and why it is wanted. Its form does it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.admin import AdminSite
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.debug import sensitive_post_parameters

from migrations_app import actions, permissions
from migrations_app.dashboard.approving import approval_page
from migrations_app.dashboard.before_reverse import way_back_now
from migrations_app.dashboard.buttons import is_dangerous, label_of
from migrations_app.dashboard.consent import facts_of, void_sentences
from migrations_app.dashboard.display import page_of
from migrations_app.dashboard.findings import findings_of
from migrations_app.dashboard.foretold import Foretold, foretell
from migrations_app.dashboard.logging_in_again import Proof, is_asked_before, log_out
from migrations_app.dashboard.verbs import DEEDS, what_happened
from migrations_app.dashboard.viewer import user_of
from migrations_app.errors import Blocker, Forbidden, InvalidInput, NotFound, PortalError, Refused
from migrations_app.models import AppMigration, Approval
from migrations_app.permissions import ABOUT_A_REQUEST, Verb
from migrations_app.states import STARTS, Act

BAD_REQUEST, CONFLICT = 400, 409


@contextmanager
def as_http() -> Iterator[None]:
    """The portal's errors that end a page, as Django's."""
    try:
        yield
    except NotFound as error:
        raise Http404(error.reason) from error
    except Forbidden as error:
        raise PermissionDenied(error.reason) from error


def problems_of(error: PortalError) -> tuple[int, list[Blocker]]:
    """The status of the page that shows the error again, and each thing that is wrong."""
    if isinstance(error, Refused):
        return CONFLICT, list(error.blockers)
    return BAD_REQUEST, [Blocker(error.code, error.reason, error.hint)]


@sensitive_post_parameters("password")
@as_http()
def confirm(request: HttpRequest, move_id: UUID, verb: Verb, site: AdminSite) -> HttpResponse:
    """GET: what the verb would do. POST: do it, or say why not. The approval page has a button to reject as well."""
    user, deed = user_of(request), DEEDS[verb]
    if request.method != "POST":
        looked = _looked_again(move_id, user) if verb is Verb.APPROVE else None
        return _page(request, foretell(move_id, verb, user, looked=looked), site)
    ahead = foretell(move_id, verb, user)
    move, act = ahead.move, ahead.act
    decision = Verb.REJECT if verb is Verb.APPROVE and request.POST.get("decision") == Verb.REJECT else verb
    permissions.require(user, decision, move)
    form, changed = deed.form(request.POST), ahead.changed_since(request.POST)
    if changed:
        return _page(request, ahead, site, form=form, status=CONFLICT, problems=changed)
    proof = Proof(request.POST, request=request, app=move.app) if is_asked_before(decision, act) else None
    understood = [part.is_valid() for part in (form, proof) if part]
    if proof and proof.failed_too_often:
        return log_out(request)
    if not all(understood):
        return _page(request, ahead, site, form=form, proof=proof, status=BAD_REQUEST)
    given = {**form.cleaned_data, "seen": request.POST.get("seen", ""), "decision": decision}
    try:
        done = deed.do(move, user, given | (proof.cleaned_data if proof else {}))
    except (Refused, InvalidInput) as error:
        status, problems = problems_of(error)
        by_now = foretell(move_id, verb, user)
        problems = by_now.changed_since(request.POST) or problems
        return _page(request, by_now, site, form=form, proof=proof, status=status, problems=problems)
    messages.success(request, what_happened(decision, done, act))
    return redirect(page_of(done))


def _looked_again(move_id: UUID, user: User) -> tuple[AppMigration, Approval] | None:
    """The move and what waits about it, read together; None if there is nothing to look at again."""
    with suppress(Refused):  # decided on meanwhile: the page says so
        move, approval = actions.look_again(move_id=move_id, acting_user=user)
        return (move, approval) if approval else None
    return None


def _page(
    request: HttpRequest,
    ahead: Foretold,
    site: AdminSite,
    *,
    form: Any = None,
    proof: Proof | None = None,
    status: int = 200,
    problems: list[Blocker] | None = None,
) -> HttpResponse:
    verb, move, approval, act, blockers = ahead.verb, ahead.move, ahead.approval, ahead.act, ahead.blockers
    past = ahead.closed_request(request.POST)
    about = act or (Act(past.act) if past else None)
    starts = approval is not None and approval.act in STARTS
    problems = problems or []
    proof = proof or (Proof(request=request, app=move.app) if is_asked_before(verb, act) else None)
    form = form or DEEDS[verb].form(initial=DEEDS[verb].initial(move))
    context = {
        **site.each_context(request),
        "title": _title(verb, about, move),
        "opts": AppMigration._meta,
        "move": move,
        "back": page_of(move),
        "back_to": str(move),
        "label": f"Ask for the {verb}" if ahead.asks_first else label_of(verb, about),
        "dangerous": is_dangerous(verb, act),
        "form": form,
        "proof": proof if not blockers else None,
        "problems": problems if past and not approval else [*problems, *(b for b in blockers if b not in problems)],
        "possible": not blockers,
        "typed": _typed(form) if blockers else "",
        "said": ahead.said if verb not in ABOUT_A_REQUEST else "",
        "sentences": ahead.sentences,
        "outcome": ahead.outcome,
        "way_back_now": way_back_now(move) if verb is Verb.REVERSE else [],
        "asks_first": ahead.asks_first,
        "stopped_by": ahead.stopped_by,
        "approval": approval,
        "facts": facts_of(approval, move, ahead.at, to_approve=verb is Verb.APPROVE) if approval else [],
        "voided": void_sentences(move) if starts else [],
        "findings": findings_of(move, bound=approval.subject["findings"]) if approval and starts else None,
    }
    if verb is Verb.APPROVE and approval:
        context |= {
            **approval_page(approval, move, ahead.offers, context["findings"], ahead.at),
            "changed": "changed_since_seen" in {problem.code for problem in problems},
        }
        return TemplateResponse(request, "dashboard/approve.html", context, status=status)
    return TemplateResponse(request, "dashboard/confirm.html", context, status=status)


def _typed(form: Any) -> str:
    """What somebody wrote into a form that cannot be sent any more."""
    return str(form.data.get("reason") or form.data.get("comment") or "")


def _title(verb: Verb, act: Act | None, move: AppMigration) -> str:
    ends = f"{move.app} from {move.source_region} to {move.dest_region}"
    replica = f"the replica of {move.app} in {move.source_region}"
    if verb in (Verb.TEARDOWN, Verb.KEEP):
        return f"{verb.label} {replica}"
    if act is None and verb in ABOUT_A_REQUEST:
        return f"Nothing to {verb} about the {move.kind} of {ends}"
    if act is None or act in STARTS:
        return f"{verb.label} the {move.kind} of {ends}"
    return f"{verb.label} the {act} of {replica if act is Act.TEARDOWN else f'the {move.kind} of {ends}'}"

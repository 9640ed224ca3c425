"""Tokens: one's own, and everybody's for who edits users. The secret of a new one is on the page that making it answers
with, and nowhere else."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone

from migrations_app import tokens
from migrations_app.admin.listing import Empty, Listed
from migrations_app.admin.sight import LookOnly
from migrations_app.admin.trail import WithTrail
from migrations_app.clock import beginning_of
from migrations_app.dashboard.confirming import as_http
from migrations_app.dashboard.display import NOTHING, badge, list_of, markup, time_column
from migrations_app.dashboard.viewer import user_of
from migrations_app.errors import Forbidden, InvalidInput
from migrations_app.models import ApiToken
from migrations_app.models.api_token import LONGEST_NAME
from migrations_app.states import Scope

_USUAL_DAYS = 90
_MEANING = {
    Scope.READ: "look at everything that you see",
    Scope.REQUEST: "ask for moves, take that back, comment",
    Scope.APPROVE: "decide on what others ask for",
    Scope.OPERATE: "abort, retry, reverse, tear down, keep",
}


class NewToken(forms.Form):
    user = forms.ModelChoiceField(User.objects.none(), label="For", empty_label=None)
    name = forms.CharField(max_length=LONGEST_NAME, help_text="Where it is used, e.g. nightly CI.")
    scopes = forms.MultipleChoiceField(
        choices=[(scope.value, f"{scope}: {_MEANING[scope]}") for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
        initial=[Scope.READ.value],
        help_text="They only take away from what the user may do.",
    )
    until = forms.DateField(
        label="Expires after",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
        help_text="The last day, in UTC, on which it is good.",
    )

    def __init__(self, *args: Any, maker: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = tokens.people_for(maker)
        user, until = self.fields["user"], self.fields["until"]
        assert isinstance(user, forms.ModelChoiceField)  # noqa: S101 — as declared
        user.queryset, user.initial = people, maker.pk
        today = timezone.now().date()
        until.initial = today + timedelta(days=min(_USUAL_DAYS, settings.MOVES_TOKEN_DAYS - 1))
        until.widget.attrs |= {"min": today, "max": today + timedelta(days=settings.MOVES_TOKEN_DAYS - 1)}

    def clean_until(self) -> date:
        until: date = self.cleaned_data["until"]
        if until.year >= date.max.year:
            raise forms.ValidationError("Give an earlier day.")
        return until


@admin.register(ApiToken)
class ApiTokenAdmin(WithTrail, Listed, LookOnly):
    list_title = "Tokens"
    list_display = ["name", "user", "state", "scopes_shown", "begins", "expires", "used", "used_from", "end"]
    list_display_links = None
    list_prefetch = ["user"]
    fields = ["name", "user", "state", "scopes_shown", "begins", "created_at", "expires_at", "used", "used_from"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[ApiToken]:
        mine = tokens.in_sight(user_of(request)).values("pk")
        return super().get_queryset(request).filter(pk__in=mine)

    def has_add_permission(self, request: HttpRequest) -> bool:
        user = user_of(request)
        return tokens.may_make_for(user, user)

    def get_urls(self) -> list[URLPattern]:
        revoke = self.admin_site.admin_view(self.revoke)
        return [
            path("<int:token_id>/revoke/", revoke, name="migrations_app_apitoken_revoke"),
            *super().get_urls(),
        ]

    def empty(self, request: HttpRequest) -> Empty:
        return Empty("No program acts as you.", "Make a token", reverse("admin:migrations_app_apitoken_add"))

    def trail_of(self, obj: ApiToken) -> dict[str, Any]:
        return {"target": f"token {obj}"}

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """GET: the form. POST: the page with the secret, once: to load it again would be to make the token again."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        maker = user_of(request)
        form = NewToken(request.POST if request.method == "POST" else None, maker=maker)
        if request.method == "POST" and form.is_valid():
            wanted = form.cleaned_data
            try:
                token, secret = tokens.make(
                    user=wanted["user"],
                    name=wanted["name"],
                    scopes=wanted["scopes"],
                    expires_at=beginning_of(wanted["until"] + timedelta(days=1)),
                    acting_user=maker,
                )
            except (InvalidInput, Forbidden) as error:
                form.add_error(None, f"{error.reason} {error.hint}")
            else:
                made = {"title": "The token is made", "token": token, "secret": secret}
                return self._page(request, "tokens/made.html", made)
        status = 400 if form.is_bound else 200
        return self._page(request, "tokens/new.html", {"title": "Make a token", "form": form}, status)

    @as_http()
    def revoke(self, request: HttpRequest, token_id: int) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        token = tokens.revoke(token_id=token_id, acting_user=user_of(request))
        messages.success(request, f"The token {token} is revoked: it is good for nothing from now on.")
        return redirect(list_of(ApiToken))

    def _page(self, request: HttpRequest, template: str, more: dict[str, Any], status: int = 200) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "opts": self.opts, **more}
        return TemplateResponse(request, template, context, status=status)

    @admin.display(description="state")
    def state(self, token: ApiToken) -> str:
        state = token.state_at(timezone.now())
        return badge({"active": "done"}.get(state, state), state)

    @admin.display(description="scopes")
    def scopes_shown(self, token: ApiToken) -> str:
        return ", ".join(token.scopes)

    @admin.display(description="begins with")
    def begins(self, token: ApiToken) -> str:
        return markup("<code>{}…</code>", token.prefix)

    @admin.display(description="expires", ordering="expires_at")
    def expires(self, token: ApiToken) -> str:
        return time_column(token.expires_at)

    @admin.display(description="last used", ordering="last_used_at")
    def used(self, token: ApiToken) -> str:
        return time_column(token.last_used_at)

    @admin.display(description="from")
    def used_from(self, token: ApiToken) -> str:
        return token.last_used_from or NOTHING

    @admin.display(description="")
    def end(self, token: ApiToken) -> str:
        if token.revoked_at:
            return NOTHING
        url = reverse("admin:migrations_app_apitoken_revoke", args=[token.pk])
        return markup(
            '<button type="submit" formaction="{}" class="verb verb-quiet" aria-label="Revoke {}">Revoke</button>',
            url,
            token,
        )

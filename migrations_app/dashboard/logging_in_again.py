"""Whoever does on the web what cannot be undone types the app's name, and logs in again: a browser that was left open
is not enough. Commands at the shell ask for the name alone."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate, logout, update_session_auth_hash
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from migrations_app.dashboard.session_lock import kept
from migrations_app.dashboard.viewer import user_of
from migrations_app.models import App
from migrations_app.permissions import Verb
from migrations_app.states import Act

TRIES = 5
"""So many wrong passwords in a row end the session."""
_WRONG = "wrong_passwords"


def is_asked_before(verb: Verb, act: Act | None) -> bool:
    """A teardown, and the consent to one; `act` is what is decided on."""
    return (act if verb is Verb.APPROVE else verb.value) == Act.TEARDOWN


class Proof(forms.Form):
    """That the user means this app, and is who they are logged in as."""

    confirm = forms.CharField(
        label="Name of the app",
        error_messages={"required": "Type the app's name, to show that you mean this one."},
        widget=forms.TextInput(attrs={"autocomplete": "off", "class": "vTextField", "spellcheck": "false"}),
    )
    password = forms.CharField(
        label="Your password",
        strip=False,
        error_messages={"required": "Log in again: type the password you log in with."},
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "class": "vTextField"}),
        help_text="Log in again: this cannot be undone.",
    )

    def __init__(self, data: Any = None, *, request: HttpRequest, app: App) -> None:
        super().__init__(data)
        self.request, self.app = request, app
        self.fields["confirm"].help_text = f"Type {app} to show that you mean this one."

    def clean_confirm(self) -> str:
        given = str(self.cleaned_data["confirm"])
        if given != self.app.slug:
            raise forms.ValidationError(f"That is not the app's name. Type {self.app}.", code="not_confirmed")
        return given

    def clean_password(self) -> str:
        """Nothing of it is kept, not even in the cleaned data."""
        user, session = user_of(self.request), self.request.session
        if not user.has_usable_password():
            raise forms.ValidationError(
                "You have no password here. Ask an admin to set one, or somebody who has one to do this.",
                code="no_password",
            )
        with kept(session):  # counted before it is checked: of many at once no more than TRIES are
            tries = session[_WRONG] = session.get(_WRONG, 0) + 1
        if tries > TRIES:
            raise forms.ValidationError("The password was wrong too often.", code="too_often")
        known = authenticate(
            self.request, username=user.get_username(), password=self.cleaned_data.pop("password", None)
        )
        if known is None or known.pk != user.pk:
            left = TRIES - tries
            more = "Once more" if left == 1 else f"{left} more times"
            raise forms.ValidationError(f"That is not your password. {more}, and you are logged out.", code="wrong")
        with kept(session):
            session.pop(_WRONG, None)
        if known.password != user.password:  # hashed anew on the way, as Django does when it hashes better than before
            update_session_auth_hash(self.request, known)
        return ""

    @property
    def failed_too_often(self) -> bool:
        return bool(self.request.session.get(_WRONG, 0) >= TRIES)


def log_out(request: HttpRequest) -> HttpResponse:
    """End the session; whoever logs in comes back to the page."""
    logout(request)
    messages.error(request, f"You were logged out: the password was wrong {TRIES} times. Nothing was done.")
    return redirect_to_login(request.path, reverse("admin:login"))

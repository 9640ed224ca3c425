"""Tokens: what a program shows to act as a user, under that user's roles and teams. A scope only takes away.

The secret is told once, when the token is made; the portal keeps its SHA-256. That is enough, unlike for a password: 32
random bytes cannot be guessed.
"""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from migrations_app.clock import database_now
from migrations_app.errors import Forbidden, InvalidInput, NotFound, Unauthorized
from migrations_app.models import ApiToken
from migrations_app.models.api_token import LONGEST_NAME
from migrations_app.permissions import SCOPE_OF, Verb, can
from migrations_app.states import Scope
from migrations_app.transitions import record

BEGINNING = "mvt_"
"""Of every secret, so that scanners of logs and repositories know one."""

_SHOWN = 12
_USE_IS_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True)
class Caller:
    """Who acts by a token: its user, as far as the token goes."""

    user: User
    token: ApiToken

    def holds(self, verb: Verb) -> bool:
        """Whether the token is good for the verb; what its user may do is another question."""
        return SCOPE_OF[verb] in self.token.scopes

    def require(self, verb: Verb) -> None:
        """Raises Forbidden, code `scope`, unless the token holds() it."""
        if not self.holds(verb):
            raise Forbidden(
                f"The token {self.token.name} is not good for that: it lacks the scope {SCOPE_OF[verb]}.",
                hint="Make a token with that scope in the admin, under Tokens.",
                code="scope",
            )


def caller_of(authorization: str | None, address: str) -> Caller:
    """Whom a request's `Authorization` header speaks for; `address` is where it comes from.

    Raises Unauthorized, in the same words for a token that is unknown, malformed, expired or revoked and for a user who
    is inactive: nobody learns which.
    """
    scheme, _, secret = (authorization or "").strip().partition(" ")
    found = None
    if scheme.lower() == "bearer":
        found = (
            ApiToken.objects.filter(
                digest=_digest(secret.strip()), revoked_at__isnull=True, expires_at__gt=Now(), user__is_active=True
            )
            .select_related("user")
            .annotate(since_used=Now() - F("last_used_at"))
            .first()
        )
    if found is None:
        raise Unauthorized(
            "The request carries no token that is good.",
            hint="Send the header Authorization: Bearer mvt_…; make a token in the admin, under Tokens.",
        )
    if found.since_used is None or found.since_used > _USE_IS_NOTED_EVERY:
        ApiToken.objects.filter(pk=found.pk).update(last_used_at=Now(), last_used_from=address[:100])
    return Caller(found.user, found)


def make(
    *, user: User, name: str, scopes: Iterable[str], expires_at: datetime, acting_user: User | None
) -> tuple[ApiToken, str]:
    """A token of the user, and its secret, which is told here and never again.

    Raises Forbidden, or InvalidInput naming the field.
    """
    if not may_make_for(acting_user, user):
        raise Forbidden(
            f"You may not make a token for {user.get_username()}.",
            hint="Make one of your own, or ask an admin for a role.",
        )
    name, wanted = name.strip(), set(scopes)
    _check_name(name)
    _check_scopes(wanted)
    if acting_user not in (None, user) and Scope.APPROVE in wanted:
        raise Forbidden(
            "scopes: whoever is to approve makes that token themselves.",
            hint="Leave approve out; else you could approve what you asked for.",
        )
    _check_expiry(expires_at)
    secret = BEGINNING + secrets.token_urlsafe(32)
    try:
        with transaction.atomic():
            token = ApiToken.objects.create(
                user=user,
                name=name,
                digest=_digest(secret),
                prefix=secret[:_SHOWN],
                scopes=[scope.value for scope in Scope if scope in wanted],
                expires_at=expires_at,
            )
            record(
                "make_token",
                target=f"token {token}",
                actor=acting_user,
                reason=f"{', '.join(token.scopes)}; until {expires_at:%Y-%m-%d %H:%M %Z}",
            )
    except IntegrityError as error:
        raise InvalidInput(
            f"name: {user.get_username()} has a token {name} already.", hint="Give another name.", code="name_taken"
        ) from error
    return token, secret


def revoke(*, token_id: int, acting_user: User | None) -> ApiToken:
    """The token is good for nothing from now on; once more changes nothing. NotFound for one not in_sight()."""
    token = in_sight(acting_user).select_related("user").filter(pk=token_id).first()
    if token is None or not may_revoke(acting_user, token):
        raise NotFound(f"There is no token {token_id}.", code="unknown_token")
    with transaction.atomic():
        if ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=Now()):
            record("revoke_token", target=f"token {token}", actor=acting_user)
    token.refresh_from_db()
    return token


def in_sight(user: User | None) -> QuerySet[ApiToken]:
    """One's own; everybody's for who may edit users."""
    every = ApiToken.objects.all()
    return every if user is None or _edits_users(user) else every.filter(user=user)


def may_make_for(acting_user: User | None, user: User) -> bool:
    """For oneself, with any role; for others who may edit users. For a superuser only superusers."""
    if acting_user is None:
        return True
    if acting_user == user:
        return can(user, Verb.VIEW)
    return _edits_users(acting_user) and (acting_user.is_superuser or not user.is_superuser)


def may_revoke(acting_user: User | None, token: ApiToken) -> bool:
    return acting_user in (None, token.user) or may_make_for(acting_user, token.user)


def people_for(acting_user: User) -> QuerySet[User]:
    """Whom the user may make tokens for."""
    active = User.objects.filter(is_active=True).order_by("username")
    if not _edits_users(acting_user):
        return active.filter(pk=acting_user.pk)
    return active if acting_user.is_superuser else active.filter(Q(is_superuser=False) | Q(pk=acting_user.pk))


def _edits_users(user: User) -> bool:
    return user.has_perm("auth.change_user")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= LONGEST_NAME or any(unicodedata.category(char).startswith("C") for char in name):
        raise InvalidInput(
            f"name: 1 to {LONGEST_NAME} characters, and no control characters.",
            hint="Say where it is used, e.g. nightly CI.",
            code="invalid_name",
        )


def _check_scopes(wanted: set[str]) -> None:
    unknown = sorted(wanted - set(Scope))
    if unknown or not wanted:
        raise InvalidInput(
            f"scopes: there is no scope {', '.join(unknown)}." if unknown else "scopes: none is given.",
            hint=f"Give one at least of {', '.join(Scope)}.",
            code="invalid_scopes",
        )


def _check_expiry(expires_at: datetime) -> None:
    now = database_now()
    if not now < expires_at <= now + timedelta(days=settings.MOVES_TOKEN_DAYS):
        raise InvalidInput(
            f"expires_at: {expires_at:%Y-%m-%d %H:%M} is past, or more than {settings.MOVES_TOKEN_DAYS} days away.",
            hint=f"Give a time within the next {settings.MOVES_TOKEN_DAYS} days.",
            code="invalid_time",
        )

"""A client of the API, for tests: it speaks as a user, by a token with some scopes."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.test import Client

from migrations_app import tokens
from migrations_app.states import Scope

_NUMBERS = itertools.count()


def token_of(user: User, *scopes: str) -> str:
    """A secret; with all scopes if none is named."""
    _, secret = tokens.make(
        user=user,
        name=f"test {next(_NUMBERS)}",
        scopes=scopes or list(Scope),
        expires_at=datetime.now(UTC) + timedelta(days=1),
        acting_user=user,
    )
    return secret


class Caller:
    def __init__(self, user: User, *scopes: str) -> None:
        self.headers = {"Authorization": f"Bearer {token_of(user, *scopes)}"}
        self.client = Client(raise_request_exception=False)

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(f"/v1{path}", headers=self.headers | headers)

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.post(
            f"/v1{path}",
            data=body if body is not None else "",
            content_type="application/json",
            headers=self.headers | headers,
        )

    def delete(self, path: str, **headers: str) -> Any:
        return self.client.delete(f"/v1{path}", headers=self.headers | headers)

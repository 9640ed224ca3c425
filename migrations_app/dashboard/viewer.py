"""Who looks."""

from __future__ import annotations

from typing import cast

from django.contrib.auth.models import User
from django.http import HttpRequest


def user_of(request: HttpRequest) -> User:
    """Who is logged in: the admin lets nobody else in."""
    return cast(User, request.user)

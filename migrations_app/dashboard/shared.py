"""What all see alike who see the same teams, made once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from django.conf import settings
from django.core.cache import cache

Made = TypeVar("Made")


def shared(key: str, make: Callable[[], Made]) -> Made:
    """What `make` made under this key in the last MOVES_OVERVIEW_SECONDS, or makes now: however many people look, the
    database is asked once. Never None."""
    kept: Made | None = cache.get(key) if settings.MOVES_OVERVIEW_SECONDS else None
    if kept is None:
        kept = make()
        cache.set(key, kept, settings.MOVES_OVERVIEW_SECONDS)
    return kept

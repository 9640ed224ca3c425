"""What all see alike who see the same teams, made once for all of them. Whichever process makes it, Redis keeps it for
the others; signed, so that whoever writes Redis has no say in what stands on a page."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import redis
import structlog
from django.conf import settings
from django.core import signing

from migrations_app import workers

log = structlog.get_logger()

Made = TypeVar("Made")

PREFIX = "shared-"
"""Of the keys in Redis."""
_LOOK_AGAIN_SECONDS = 5.0
"""Redis that is away is left alone for so long: a page does not wait for it each time."""

_away_until = 0.0


class _Kept(NamedTuple):
    """`is_young`: not older than MOVES_OVERVIEW_SECONDS; it is kept for twice as long."""

    value: Any
    is_young: bool


def shared(key: str, make: Callable[[], Made]) -> Made:
    """What `make` made under this key in the last MOVES_OVERVIEW_SECONDS, or makes now: however many people look, the
    database is asked once. While one request makes it anew, the others take what there was. Lists, numbers and texts:
    what JSON can hold."""
    milliseconds = round(1000 * settings.MOVES_OVERVIEW_SECONDS)
    if not milliseconds:
        return make()
    name = f"{PREFIX}{key}"
    kept = _ask(lambda store: _read(store, name, milliseconds))
    if kept and (kept.is_young or not _ask(lambda store: store.set(f"{name}-making", 1, nx=True, px=milliseconds))):
        value: Made = kept.value
        return value
    made = make()
    _ask(lambda store: store.set(name, signing.dumps(made, salt=name), px=2 * milliseconds))
    return made


def _read(store: redis.Redis, name: str, milliseconds: int) -> _Kept | None:
    asking = store.pipeline(transaction=False)
    asking.get(name)
    asking.pttl(name)
    signed, left = asking.execute()
    try:
        return _Kept(signing.loads(signed.decode(), salt=name), left > milliseconds) if signed else None
    except signing.BadSignature:
        return None


def _ask(question: Callable[[redis.Redis], Any]) -> Any:
    """None where Redis does not answer."""
    global _away_until
    if time.monotonic() < _away_until:
        return None
    try:
        return question(workers.connection(settings.REDIS_URL))
    except redis.RedisError as error:
        _away_until = time.monotonic() + _LOOK_AGAIN_SECONDS
        log.warning("shared.redis_away", error=type(error).__name__)
        return None

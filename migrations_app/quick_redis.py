"""Redis, asked by whoever can do without its answer: counts, and what is kept to save time."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger()

Answer = TypeVar("Answer")

_PATIENCE_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 5.0
"""Redis that is away is left alone for so long: not everybody waits for it each time."""

_away_until: dict[str, float] = {}


def ask(question: Callable[[redis.Redis], Answer]) -> Answer | None:
    """What `question` returns when it is given the connection; None where Redis is away."""
    url = settings.REDIS_URL
    if time.monotonic() < _away_until.get(url, 0.0):
        return None
    try:
        return question(_connection(url))
    except redis.RedisError as error:
        _away_until[url] = time.monotonic() + _LOOK_AGAIN_SECONDS
        log.warning("redis.away", error=type(error).__name__, seconds=_LOOK_AGAIN_SECONDS)
        return None


@cache
def _connection(url: str) -> redis.Redis:
    """One pool for the process; a connection of it that Redis has ended is made anew."""
    return redis.from_url(
        url,
        socket_connect_timeout=_PATIENCE_SECONDS,
        socket_timeout=_PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )

"""How many requests a token may make in a minute. Counted in Redis; where that does not answer, nobody is kept out."""

from __future__ import annotations

import time
from functools import cache

import redis
import structlog
from django.conf import settings

from migrations_app.models import ApiToken

log = structlog.get_logger()

_MINUTE = 60
_LOOK_AGAIN_SECONDS = 5.0
"""Redis that is away is left alone for so long: a request does not wait for it each time."""

_away_until = 0.0


@cache
def _connection(url: str) -> redis.Redis:
    """One pool for the process; a count is not worth more than a quarter of a second."""
    return redis.from_url(url, socket_connect_timeout=0.25, socket_timeout=0.25)


def seconds_to_wait(token: ApiToken) -> int | None:
    """Count this request; until when, in seconds, the token has used its minute up. None: go ahead."""
    global _away_until
    if time.monotonic() < _away_until:
        return None
    now = int(time.time())
    key = f"requests-{token.digest[:16]}-{now // _MINUTE}"
    try:
        with _connection(settings.REDIS_URL).pipeline() as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * _MINUTE)
            made, _ = pipe.execute()
    except redis.RedisError as error:
        _away_until = time.monotonic() + _LOOK_AGAIN_SECONDS
        log.warning("api.rate_not_counted", error=type(error).__name__)
        return None
    return _MINUTE - now % _MINUTE if made > settings.MOVES_TOKEN_REQUESTS_PER_MINUTE else None

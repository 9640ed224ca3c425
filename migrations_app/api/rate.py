"""How many requests a token may make in a minute. Counted in Redis; where that does not answer, nobody is kept out."""

from __future__ import annotations

import time

import redis
from django.conf import settings

from migrations_app import quick_redis
from migrations_app.models import ApiToken

_MINUTE = 60


def seconds_to_wait(token: ApiToken) -> int | None:
    """Count this request; until when, in seconds, the token has used its minute up. None: go ahead."""
    now = int(time.time())
    key = f"requests-{token.digest[:16]}-{now // _MINUTE}"

    def count(store: redis.Redis) -> int:
        counting = store.pipeline()
        counting.incr(key)
        counting.expire(key, 2 * _MINUTE)
        made: int = counting.execute()[0]
        return made

    made = quick_redis.ask(count)
    too_many = made is not None and made > settings.MOVES_TOKEN_REQUESTS_PER_MINUTE
    return _MINUTE - now % _MINUTE if too_many else None

"""Who is there to work: RQ workers, as Redis knows them."""

from __future__ import annotations

from collections import Counter
from functools import cache

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq.worker_registration import REDIS_WORKER_KEYS

from migrations_app import bell

log = structlog.get_logger()

PATIENCE_SECONDS = 0.5
"""How long a page waits for Redis."""


def alive() -> Counter[str] | None:
    """For each region's slug, how many workers listen for its moves; one with none counts 0. None: Redis does not
    answer, so nobody knows. RQ keeps an idle worker on its books for eight minutes after it was killed."""
    try:
        asked = connection(settings.REDIS_URL)
        keys = sorted(asked.smembers(REDIS_WORKER_KEYS))
        asking = asked.pipeline(transaction=False)
        for key in keys:
            asking.hget(key, "queues")
        listening: list[bytes | None] = asking.execute()
    except redis.RedisError as error:
        log.warning("workers.redis_away", error=type(error).__name__)
        return None
    queues = [queue for names in listening if names for queue in names.decode().split(",")]
    return Counter(queue.removeprefix(bell.PREFIX) for queue in queues if queue.startswith(bell.PREFIX))


@cache
def connection(url: str) -> redis.Redis:
    """One pool for the process; a connection of it that Redis has ended is made anew."""
    return redis.from_url(
        url,
        socket_connect_timeout=PATIENCE_SECONDS,
        socket_timeout=PATIENCE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )

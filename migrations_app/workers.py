"""Who is there to work: RQ workers, as Redis knows them."""

from __future__ import annotations

from collections import Counter

import redis
from rq.worker_registration import REDIS_WORKER_KEYS

from migrations_app import bell, quick_redis


def alive() -> Counter[str] | None:
    """For each region's slug, how many workers listen for its moves; one with none counts 0. None: Redis does not
    answer, so nobody knows. RQ keeps an idle worker on its books for eight minutes after it was killed."""
    listening = quick_redis.ask(_listening)
    if listening is None:
        return None
    queues = [queue for names in listening if names for queue in names.decode().split(",")]
    return Counter(queue.removeprefix(bell.PREFIX) for queue in queues if queue.startswith(bell.PREFIX))


def _listening(asked: redis.Redis) -> list[bytes | None]:
    """For each worker, the names of its queues; None for one that has been forgotten meanwhile."""
    asking = asked.pipeline(transaction=False)
    for key in sorted(asked.smembers(REDIS_WORKER_KEYS)):
        asking.hget(key, "queues")
    return asking.execute()

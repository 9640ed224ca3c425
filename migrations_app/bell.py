"""The bell: tells a worker to look at a row. PostgreSQL holds the truth, so a lost ring costs only time.

A job carries nothing but an id. JSON serializer, because pickle would let whoever writes Redis run code.
"""

from __future__ import annotations

from functools import partial
from uuid import UUID

import redis
import structlog
from django.conf import settings
from django.db import transaction
from rq import Queue
from rq.serializers import JSONSerializer

log = structlog.get_logger()

RUN_MOVE = "migrations_app.jobs.run_move"
RUN_TEARDOWN = "migrations_app.jobs.run_teardown"
FORGET_DUMP = "migrations_app.jobs.forget_dump"

PREFIX = "moves-"
"""Of the queues' names, before a region's slug."""


def connect() -> redis.Redis:
    return redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=10)


def queue_of(region_slug: str, connection: redis.Redis) -> Queue:
    """Moves to a region, and teardowns in it, are worked by that region's workers."""
    return Queue(f"{PREFIX}{region_slug}", connection=connection, serializer=JSONSerializer)


def region_of(queue: Queue) -> str:
    """The slug of the region whose queue it is."""
    return queue.name.removeprefix(PREFIX)


def ring_on_commit(function: str, row_id: UUID | int, region_slug: str) -> None:
    transaction.on_commit(partial(ring, function, row_id, region_slug))


def ring(function: str, row_id: UUID | int, region_slug: str) -> bool:
    """Queue the job unless it waits there already. False when Redis cannot be reached: the reconciler rings again."""
    try:
        with connect() as connection:
            queue = queue_of(region_slug, connection)
            job_id = f"{function.rsplit('.', 1)[-1]}-{row_id}"
            if job_id not in queue.job_ids:
                queue.enqueue(function, str(row_id), job_id=job_id, job_timeout=-1, result_ttl=0, failure_ttl=3600)
    except redis.RedisError as error:
        log.warning("bell.redis_away", error=type(error).__name__)
        return False
    return True

"""Sees that nobody is there to work: Redis away, or a queue whose due rows no worker takes."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from django.conf import settings
from django.db.models import Max, QuerySet
from django.db.models.functions import Greatest, Now
from rq import Queue, Worker
from rq.worker import WorkerStatus

from migrations_app import bell
from migrations_app.engine import alarms
from migrations_app.engine.alarms import Trouble
from migrations_app.engine.lease import free_and_due
from migrations_app.models import Alarm, AppMigration, Region, SourceReplica
from migrations_app.models.alarm import AlarmCode
from migrations_app.states import WORKED, ReplicaState


def due_moves() -> QuerySet[AppMigration]:
    """Moves that wait for nothing but a worker."""
    return AppMigration.objects.filter(free_and_due(), status__in=WORKED)


def due_teardowns() -> QuerySet[SourceReplica]:
    return SourceReplica.objects.filter(free_and_due(), state=ReplicaState.TEARING_DOWN)


def redis_answers() -> bool:
    """Ask Redis; an alarm says so while it does not answer."""
    about_redis = Alarm.objects.filter(code=AlarmCode.REDIS_AWAY)
    try:
        with bell.connect() as connection:
            connection.ping()
    except redis.RedisError as error:
        trouble = Trouble(
            AlarmCode.REDIS_AWAY,
            "redis",
            f"Redis does not answer ({type(error).__name__}): no worker hears that there is something to do.",
            "Start it, or correct REDIS_URL. Nothing is lost: what is due is rung for again once it answers.",
        )
        alarms.settle([trouble], among=about_redis)
        return False
    alarms.clear(about_redis)
    return True


def look_for_workers() -> None:
    """Raise an alarm for every region where rows are due and no worker takes them; end those of the others."""
    since: dict[int, list[datetime]] = defaultdict(list)
    for region, at in [
        *_overdue(due_moves(), "dest_region", "initiated_at", "audit_events__at"),
        *_overdue(due_teardowns(), "region", "created_at", "migration__audit_events__at"),
    ]:
        since[region].append(at)
    with bell.connect() as connection:
        found = [
            _nobody_works(region, since[region.pk])
            for region in Region.objects.filter(pk__in=since)
            if not _is_worked(bell.queue_of(region.slug, connection))
        ]
    alarms.settle(found, among=Alarm.objects.filter(code=AlarmCode.NO_WORKER))


def _overdue(rows: QuerySet[Any], region: str, begun: str, events: str) -> QuerySet[Any, tuple[int, datetime]]:
    """`(region, free since)` of the rows that nothing has held back, or happened to, for MOVES_ALARM_SECONDS."""
    free_since = Greatest(begun, "due_at", "lease_expires_at", Max(events))
    long_ago = Now() - timedelta(seconds=settings.MOVES_ALARM_SECONDS)
    return rows.annotate(free_since=free_since).filter(free_since__lt=long_ago).values_list(region, "free_since")


def _is_worked(queue: Queue) -> bool:
    """Workers listen to the queue, and if they are idle they leave no job lying.

    RQ keeps an idle worker on its books for eight minutes after it was killed, and a busy one for 90 seconds.
    """
    workers = Worker.all(queue=queue)
    if any(worker.get_state() == WorkerStatus.BUSY for worker in workers):
        return True
    return bool(workers) and not _leaves_jobs_lying(queue)


def _leaves_jobs_lying(queue: Queue) -> bool:
    limit = datetime.now(UTC) - timedelta(seconds=settings.MOVES_ALARM_SECONDS)
    return any(job.enqueued_at and job.enqueued_at < limit for job in queue.get_jobs(0, 1))


def _nobody_works(region: Region, since: list[datetime]) -> Trouble:
    rows = "1 move or teardown is" if len(since) == 1 else f"{len(since)} moves or teardowns are"
    return Trouble(
        AlarmCode.NO_WORKER,
        f"queue moves-{region.slug}",
        f"{rows} due in {region.slug}, the first since {min(since):%Y-%m-%d %H:%M:%S} UTC, and no worker takes them.",
        f"Start one, near the region: manage.py work {region.slug}. If one runs, its log says what keeps it.",
        region=region,
    )

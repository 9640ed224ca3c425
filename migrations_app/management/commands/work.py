from __future__ import annotations

from typing import Any

import redis
from django.conf import settings
from django.core.management.base import CommandParser
from django.db import connections
from rq.serializers import JSONSerializer

from migrations_app import bell, queries
from migrations_app.errors import PortalError
from migrations_app.management import arguments
from migrations_app.management.base import PortalCommand
from migrations_app.management.worker import Worker


class Command(PortalCommand):
    help = (
        "Work on the moves to one region, and the teardowns in it. Run as many as you like, near the region; a worker "
        "listens to one queue only, for RQ can lose a job between two. SIGTERM ends it: what it works on is handed "
        "back, and another worker goes on at once."
    )
    examples = (
        ("Work on the moves to eu-west-1 until told to stop", "work eu-west-1"),
        ("Work on what waits now, and end", "work eu-west-1 --burst"),
    )

    surface = "worker"
    is_for_people = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("region", type=arguments.REGION, metavar="REGION", help="the region, e.g. eu-west-1")
        parser.add_argument("--burst", action="store_true", help="end when the queue is empty")

    def run(self, **options: Any) -> None:
        region = queries.region(options["region"])
        connection = redis.from_url(settings.REDIS_URL)
        connections.close_all()  # the forked job opens its own
        worker = Worker([bell.queue_of(region.slug, connection)], connection=connection, serializer=JSONSerializer)
        try:
            did_something = worker.work(burst=options["burst"], logging_level="WARNING")
        except redis.RedisError as error:
            raise PortalError(
                f"Redis does not answer ({type(error).__name__}).", hint="Check REDIS_URL.", code="redis_away"
            ) from error
        self.answer(
            {"region": region.slug, "did_something": did_something},
            f"The worker of {region} has ended{'' if did_something else '; there was nothing to do'}.",
        )

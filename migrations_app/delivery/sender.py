"""Sends what is in the outbox: claims messages by row lock and lease, sends each in a thread, writes down what became
of it. Several senders may run at once.

Of one subscription a sender has one message under way, so a receiver that hangs holds up one thread, and that for
http_post.WHOLE_SECONDS at most. A message may reach its receiver twice, when a sender dies between the answer and the
note of it; its Webhook-Id is then the same.
"""

from __future__ import annotations

import random
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from datetime import timedelta

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Now

from migrations_app import outbox
from migrations_app.clock import database_now
from migrations_app.delivery.letters import Outcome, failed_here, letter_for, send
from migrations_app.delivery.payload import payload_of
from migrations_app.engine.undelivered import HEARTBEAT
from migrations_app.errors import TransientError
from migrations_app.models import Heartbeat, OutboxMessage

log = structlog.get_logger()

THREADS = 8
LEASE = timedelta(minutes=3)
"""Longer than a try takes: 20 s of HTTP, or 10 s for each of a dozen steps of SMTP, after what a resolver needs."""
LIFE = timedelta(days=1)
"""From the first try on; then it is dead."""
FIRST_PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 3600.0


def claim(most: int, but_not: Collection[int] = ()) -> list[OutboxMessage]:
    """Take the first message that is due of each of `most` subscriptions, none of them in `but_not`, for LEASE."""
    due = outbox.due().exclude(subscription__in=but_not)
    firsts = list(due.order_by("subscription_id", "id").distinct("subscription_id").values_list("pk", flat=True))
    random.shuffle(firsts)  # so that no subscription waits for ever behind others that are never done
    with transaction.atomic():
        taken = outbox.due().filter(pk__in=firsts[:most]).select_for_update(of=("self",), skip_locked=True)
        mine = OutboxMessage.objects.filter(pk__in=[message.pk for message in taken])
        mine.update(
            attempts=F("attempts") + 1, leased_until=Now() + LEASE, give_up_at=Coalesce("give_up_at", Now() + LIFE)
        )
        return list(mine.select_related("subscription", "event"))


def settle(message: OutboxMessage, outcome: Outcome) -> None:
    """Write down what became of a try; nothing if the message has been taken by another sender since."""
    mine = outbox.pending().filter(pk=message.pk, attempts=message.attempts)
    said = {"leased_until": None, "last_status": outcome.status, "last_error": outcome.error}
    if not outcome.error:
        mine.update(**said, sent_at=Now())
        return
    now = database_now()
    next_try = now + timedelta(seconds=pause(message.attempts, outcome.retry_after))
    if message.give_up_at and next_try > message.give_up_at:
        mine.update(**said, dead_at=now)
        log.warning("delivery.dead", message=message.webhook_id, error=outcome.error)
    else:
        mine.update(**said, next_try_at=next_try)


def pause(attempts: int, retry_after: float | None) -> float:
    """Seconds to the next try: twice as long each time, a fifth more or less, so that what failed together does not
    come back together. What the receiver asks for counts if it is longer, up to the longest pause."""
    own = min(FIRST_PAUSE_SECONDS * 2 ** min(attempts - 1, 30), LONGEST_PAUSE_SECONDS)
    return max(own * random.uniform(0.8, 1.2), min(retry_after or 0.0, LONGEST_PAUSE_SECONDS))  # noqa: S311


def tidy() -> None:
    """Give up what belongs to subscriptions that are switched off, and forget what was over long ago."""
    outbox.pending().filter(subscription__enabled=False).update(
        dead_at=Now(), last_error="The subscription was switched off before it was sent."
    )
    old = OutboxMessage.objects.filter(created_at__lt=Now() - timedelta(days=settings.MOVES_DELIVERIES_DAYS))
    old.exclude(pk__in=outbox.pending().values("pk")).delete()


class Sender:
    """The sender of one process. start() and finish() are called in turn, by one thread; the others only send."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="deliver")
        self._under_way: dict[Future[Outcome], OutboxMessage] = {}

    @property
    def is_idle(self) -> bool:
        return not self._under_way

    def start(self) -> int:
        """Send what is due, as far as threads are free; how many were begun."""
        Heartbeat.objects.update_or_create(name=HEARTBEAT, defaults={"at": Now()})
        free = THREADS - len(self._under_way)
        busy = {message.subscription_id for message in self._under_way.values()}
        messages = claim(free, busy) if free else []
        for message in messages:
            self._begin(message)
        return len(messages)

    def finish(self, seconds: float | None) -> None:
        """Wait until one of those under way is over, at most so long, and write down what became of all that are."""
        over, _ = wait(self._under_way, seconds, FIRST_COMPLETED)
        for future in over:
            settle(self._under_way[future], future.result())
            del self._under_way[future]  # not before that: the database may be away, and comes back

    def _begin(self, message: OutboxMessage) -> None:
        try:
            if message.payload is None:
                OutboxMessage.objects.filter(pk=message.pk, payload__isnull=True).update(payload=payload_of(message))
                message.refresh_from_db(fields=["payload"])
            letter = letter_for(message, database_now())
        except (OperationalError, InterfaceError):
            raise
        except TransientError as error:
            settle(message, Outcome(str(error)))
        except Exception as error:  # said of this message, whatever it is; the others are sent
            log.exception("delivery.failed", message=message.webhook_id)
            settle(message, Outcome(failed_here(error)))
        else:
            self._under_way[self._threads.submit(send, letter)] = message

    def close(self) -> None:
        self._threads.shutdown()


def deliver_all() -> int:
    """Send what is due now, and wait for it; how many tries that took."""
    tidy()
    with closing(Sender()) as sender:
        tries = 0
        while (begun := sender.start()) or not sender.is_idle:
            tries += begun
            sender.finish(None)
    return tries

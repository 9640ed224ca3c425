"""The process itself: it sends, outlives what goes wrong, and finishes what is under way when it is told to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from migrations_app.models import AppMigration, OutboxMessage
from migrations_app.states import Status
from migrations_app.transitions import change_status
from tests.outbox.conftest import KEY, Subscribe
from tests.outbox.receivers import Receiver
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def process(shop: object) -> Iterator[subprocess.Popen[bytes]]:
    database = f"{os.environ['DATABASE_URL'].rpartition('/')[0]}/{connection.settings_dict['NAME']}"
    env = {
        **os.environ,
        "DATABASE_URL": database,
        "MOVES_WEBHOOK_KEY": KEY,
        "MOVES_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
        "MOVES_DELIVER_SECONDS": "0.1",
    }
    command = [sys.executable, "manage.py", "deliver"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL) as started:
        yield started
        started.kill()


def test_it_sends_and_ends_once_what_is_under_way_is_done(
    process: subprocess.Popen[bytes], move: AppMigration, subscribe: Subscribe, receiver: Receiver
) -> None:
    subscribe()
    change_status(move, Status.RUNNING, verb="start")
    wait_until(lambda: receiver.requests, 60)
    wait_until(lambda: OutboxMessage.objects.get().state == "sent")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    receiver.open.clear()
    change_status(move, Status.HELD, verb="hold")
    wait_until(lambda: len(receiver.requests) == 2)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    receiver.open.set()
    assert process.wait(20) == 0
    assert [message.state for message in OutboxMessage.objects.all()] == ["sent", "sent"]

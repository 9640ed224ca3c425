"""Round after round under traffic that never stops: moves aborted at any moment, moves, reverses, teardowns.

SOAK_ROUNDS says how many (20). After each round the app serves from one region, takes writes there, and the other has
either its replica or nothing.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections import Counter

import pytest
from django.conf import settings
from django.db import connection

from migrations_app import actions
from migrations_app.errors import Refused
from migrations_app.models import App, AppMigration, Region
from migrations_app.states import Status
from portal.sandbox.traffic import Traffic
from tests.conftest import carry, reversed_, torn_down
from tests.test_guestbook_move import audited, nothing_in, wait_for_writes

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "20"))
_A_MOVE_SECONDS = 9.0


def abort_later(move: AppMigration, seconds: float) -> threading.Thread:
    def run() -> None:
        time.sleep(seconds)
        try:
            actions.abort(move_id=move.pk, acting_user=None, reason="a test")
        except Refused:
            pass  # it was over, or past the pivot
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_no_write_is_lost_over_many_rounds(app: App, regions: dict[str, Region]) -> None:
    chance = random.Random(1)
    ended: Counter[str] = Counter()
    with Traffic(settings.EDGE_PUBLIC_URLS[0], app.hostname, readers=2, writers=2) as traffic:
        for number in range(ROUNDS):
            wait_for_writes(traffic, traffic.snapshot().acknowledged + 5)
            dest = chance.choice([region for region in regions.values() if region != app.region])
            move = actions.request_move(app_slug=app.slug, dest_slug=dest.slug, acting_user=None, reason="a test")
            aborting = abort_later(move, chance.uniform(0, 2 * _A_MOVE_SECONDS))
            move = carry(move)
            aborting.join()
            app.refresh_from_db()
            ended[move.status] += 1
            print(f"round {number + 1}: {move.source_region} → {dest}: {move.status} at {move.current_step}")
            if move.status == Status.ABORTED:
                assert app.region == move.source_region
                assert nothing_in(dest, app, role_was_there=dest.slug == "us-east-1")
                continue
            assert move.status == Status.COMPLETED, move.last_error
            if chance.random() < 0.5:
                move = reversed_(move)
                ended["reversed"] += 1
                assert move.status == Status.COMPLETED, move.last_error
            torn_down(move)
            app.refresh_from_db()
    ledger = traffic.stop()
    print(dict(ended), f"{len(ledger.acknowledged)} writes acknowledged, {ledger.reads} reads")
    found = audited(app, ledger)
    assert found.ok, found
    assert ledger.failed_reads == 0, ledger.read_failures


@pytest.fixture(autouse=True)
def short_grace(settings: object) -> None:
    settings.MOVES_WRITER_GRACE_SECONDS = 2.0  # type: ignore[attr-defined]

"""The comparison while a stream runs and the app writes: it finds what is wrong, and nothing else."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from migrations_app.dataplane.database import fence, proof
from migrations_app.dataplane.process import no_check
from migrations_app.models import AppMigration, Region
from migrations_app.verification.report import Depth, Report
from migrations_app.verification.streaming import StreamingComparison
from tests.conftest import Shop, moved

ROWS = 100_000
SCHEMA = f"""
CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, n int NOT NULL DEFAULT 0);
INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, {ROWS}) n;
CREATE TABLE log (at timestamptz NOT NULL DEFAULT now(), what text);
INSERT INTO log (what) VALUES ('began');
CREATE SEQUENCE ticket;
CREATE UNLOGGED TABLE scratch (n int);
CREATE INDEX item_name ON item (name);
ALTER TABLE item SET (autovacuum_enabled = off);
"""


@dataclass
class Pair:
    """A shop that lives in `primary`; a stream keeps `replica` current."""

    shop: Shop
    move: AppMigration
    primary: Region
    replica: Region
    kept: dict[str, Any] = field(default_factory=dict)
    keeps: int = 0

    def keep(self, kept: dict[str, Any]) -> None:
        self.kept, self.keeps = json.loads(json.dumps(kept)), self.keeps + 1

    def comparison(self, **options: Any) -> StreamingComparison:
        name = self.move.name_in_regions
        return StreamingComparison(
            self.shop.cluster(self.primary),
            self.shop.cluster(self.replica),
            stream=name,
            watch=f"{name}_watch",
            **{"jobs": 2, "depth": Depth.FULL, "check": no_check, "kept": self.kept, "keep": self.keep, **options},
        )

    def drain(self) -> None:
        """The sentinel is laid as a reverse does: the proof of the drain needs it."""
        primary, replica, name = (
            self.shop.cluster(self.primary),
            self.shop.cluster(self.replica),
            self.move.name_in_regions,
        )
        proof.lay_sentinel(primary, replica, name)
        proof.drain(primary, replica, name, proof.position(primary), deadline_seconds=30, check=no_check)


@pytest.fixture
def pair(make_shop: Callable[..., Shop], us: Region, eu: Region) -> Iterator[Pair]:
    shop = make_shop(schema=SCHEMA)
    move = moved(shop.app, "eu-west-1")
    made = Pair(shop, move, primary=eu, replica=us)
    fence.open_up(shop.cluster(us), fence.read_connect_grants(shop.cluster(eu)))
    yield made
    with made.comparison() as comparison:
        comparison.end()


@contextmanager
def writing(pair: Pair, seconds_between: float = 0.0) -> Iterator[list[int]]:
    """Somebody writes random rows; yields how often he has."""
    stop, count = threading.Event(), [0]

    def write() -> None:
        chance = random.Random(1)
        with pair.shop.connect(pair.primary) as app:
            while not stop.wait(seconds_between):
                id_ = chance.randrange(1, ROWS)
                match chance.randrange(4):
                    case 0:
                        app.execute("DELETE FROM item WHERE id = %s", [id_])
                        app.execute("INSERT INTO item VALUES (%s, 'again')", [id_])
                    case 1:
                        app.execute("UPDATE item SET id = -id WHERE id = %s", [id_])
                        app.execute("UPDATE item SET id = -id WHERE id = %s", [-id_])
                    case 2:
                        app.execute("INSERT INTO log (what) VALUES ('more')")
                    case _:
                        app.execute("UPDATE item SET n = n + 1 WHERE id BETWEEN %s AND %s", [id_, id_ + 20])
                count[0] += 1

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield count
    finally:
        stop.set()
        thread.join()


def named(report: Report) -> list[str]:
    return [f"{finding.kind} {finding.name}" for finding in report.differences]


def test_a_writer_makes_no_difference(pair: Pair) -> None:
    with pair.comparison() as comparison:
        with writing(pair) as count:
            comparison.begin()
            comparison.compare_properties()
            comparison.compare_rows()
            assert comparison.differences == []
            left = comparison.narrow()
            assert comparison.differences == []
            for _ in range(3):
                left = comparison.narrow()
        pair.drain()
        began = time.monotonic()
        report = comparison.settle()
        assert named(report) == []
        again = comparison.check_again()
        assert named(again) == []

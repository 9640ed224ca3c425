"""Two databases, one of them kept current by a stream; who writes there; and what can be wrong with the copy."""

from __future__ import annotations

import json
import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from psycopg import sql

from migrations_app.dataplane.database import proof
from migrations_app.dataplane.database.connection import Cluster
from migrations_app.dataplane.process import no_check
from migrations_app.models import AppMigration, Region
from migrations_app.verification.report import Depth, Report
from migrations_app.verification.streaming import StreamingComparison
from tests.conftest import Shop
from tests.waiting import wait_until

ROWS = 30_000
SCHEMA = f"""
CREATE TABLE item (id bigint PRIMARY KEY, name text NOT NULL, n int NOT NULL DEFAULT 0);
INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, {ROWS}) n;
CREATE TABLE log (at timestamptz NOT NULL DEFAULT now(), what text);
INSERT INTO log (what) VALUES ('began');
CREATE SEQUENCE ticket;
CREATE UNLOGGED TABLE scratch (n int);
CREATE INDEX item_name ON item (name);
GRANT SELECT ON item TO PUBLIC;
"""

DAMAGE = {
    "one changed byte": ("UPDATE item SET name = 'item 2777?' WHERE id = 27777", "row public.item (id=27777)"),
    "one missing row": ("DELETE FROM item WHERE id = 499", "row public.item (id=499)"),
    "one extra row": (f"INSERT INTO item VALUES ({ROWS + 7}, 'x')", f"row public.item (id={ROWS + 7})"),
    "one extra row before the first": ("INSERT INTO item VALUES (-70000000, 'x')", "row public.item (id=-70000000)"),
    "an index missing": ("DROP INDEX item_name", "schema item_name"),
    "a grant lost": ("REVOKE SELECT ON item FROM PUBLIC", "schema TABLE item"),
}
WHILE_BLOCKED = {
    "a sequence behind": ("SELECT setval('ticket', 17)", "sequence public.ticket"),
    "an unlogged table's row": ("INSERT INTO scratch VALUES (1)", "table public.scratch"),
}
"""What no stream carries; looked at when nobody writes."""


@dataclass
class Pair:
    """A shop that lives in `primary`; a stream keeps `replica` current."""

    shop: Shop
    move: AppMigration
    primary: Region
    replica: Region
    kept: dict[str, Any] = field(default_factory=dict)

    def keep(self, kept: dict[str, Any]) -> None:
        self.kept = json.loads(json.dumps(kept))

    def comparison(self, **options: Any) -> StreamingComparison:
        name = self.move.name_in_regions
        return StreamingComparison(
            self.shop.cluster(self.primary),
            self.shop.cluster(self.replica),
            stream=name,
            watch=f"{name}_watch",
            **{"jobs": 2, "depth": Depth.FULL, "check": no_check, "kept": self.kept, "keep": self.keep, **options},
        )

    @contextmanager
    def compared(self, **options: Any) -> Iterator[StreamingComparison]:
        """Begun and gone through once."""
        with self.comparison(**options) as comparison:
            comparison.begin()
            comparison.compare_properties()
            comparison.compare_rows()
            yield comparison

    def write(self, statement: str, *params: Any) -> None:
        with self.shop.connect(self.primary) as app:
            app.execute(statement, params or None)

    def drain(self) -> None:
        """The sentinel is laid as a reverse does: the proof of the drain needs it."""
        primary, replica = self.shop.cluster(self.primary), self.shop.cluster(self.replica)
        name = self.move.name_in_regions
        proof.lay_sentinel(primary, replica, name)
        proof.drain(primary, replica, name, proof.position(primary), deadline_seconds=30, check=no_check)

    def slots(self) -> list[str]:
        with self.shop.cluster(self.primary).admin() as admin:
            found = admin.execute(
                "SELECT slot_name FROM pg_replication_slots WHERE database = %s ORDER BY 1", [self.shop.app.database]
            ).fetchall()
        return [slot for (slot,) in found]


def copy_to(copy: Cluster, original: Cluster) -> None:
    """Make the database, with its owner."""
    owner = sql.Identifier(copy.dbname)
    with original.admin() as admin:
        row = admin.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [copy.dbname]).fetchone()
    assert row
    with copy.admin() as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(owner, sql.Literal(row[0])))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(owner, owner))
    dumped = subprocess.run(
        [f"{settings.PG_BIN_DIR}/pg_dump", f"--dbname={original.target}"], capture_output=True, check=True
    )
    subprocess.run(
        [f"{settings.PG_BIN_DIR}/psql", "-q", "-X", "-v", "ON_ERROR_STOP=1", f"--dbname={copy.target}"],
        input=dumped.stdout,
        capture_output=True,
        check=True,
    )


@contextmanager
def writing(pair: Pair) -> Iterator[None]:
    """Somebody writes random rows as fast as he can."""
    stop, count = threading.Event(), [0]

    def write() -> None:
        chance = random.Random(1)
        with pair.shop.connect(pair.primary) as app:
            while not stop.is_set():
                id_ = chance.randrange(1000, 25_000)
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
        wait_until(lambda: count[0])
        yield
    finally:
        stop.set()
        thread.join()


def named(report: Report) -> list[str]:
    return [f"{finding.kind} {finding.name}" for finding in report.differences]

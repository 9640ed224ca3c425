"""Clients of all kinds that go on writing while their database is moved, and a ledger of what they were answered.

A writer makes one attempt after the other, each one transaction. Where it is refused it goes, with a new session, to
the region the portal says the app is in. What became of an attempt:

    acknowledged   its effect is there, once
    refused        it has none
    unknown        the session broke at the commit: it has one, once, or none
"""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum
from itertools import pairwise
from typing import Any

import psycopg
from django.db import connection
from psycopg.types.json import Jsonb

from migrations_app.models import App, Region
from tests.conftest import Shop
from tests.waiting import wait_until

_AT_THE_FENCE = ("25006", "57P01")
"""read_only_sql_transaction, admin_shutdown."""

Session = psycopg.Connection[Any]
Rows = Callable[..., list[Any]]
"""Runs a statement where the app lives now."""


class Outcome(Enum):
    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Writer:
    """Attempts are numbered from 1; `outcomes` is the ledger."""

    schema = ""
    pause = 0.02

    def __init__(self) -> None:
        self.name = f"{type(self).__name__}-{uuid.uuid4().hex[:8]}"
        self.outcomes: dict[int, Outcome] = {}
        self.may_be_committed = False
        self.strange: list[str] = []
        """Refusals that no fence explains: a key that is there already, a table that has no replica identity."""
        self.stop = threading.Event()

    def write(self, session: Session, n: int) -> None:
        """Attempt number `n`, in one transaction of an autocommit session."""
        raise NotImplementedError

    def problems(self, rows: Rows) -> list[str]:
        """Where the database and the ledger disagree."""
        raise NotImplementedError

    @property
    def acknowledged(self) -> int:
        return sum(outcome is Outcome.ACKNOWLEDGED for outcome in list(self.outcomes.values()))

    def attempt(self, session: Session, n: int) -> None:
        self.may_be_committed = True
        try:
            self.write(session, n)
        except psycopg.Error as error:
            if error.sqlstate not in (None, *_AT_THE_FENCE):
                self.strange.append(f"{self.name} {n}: {error}")
            # Without a session there is no answer, or one that came when the commit may have been done.
            unknown = session.broken and self.may_be_committed
            self.outcomes[n] = Outcome.UNKNOWN if unknown else Outcome.REFUSED
            raise
        self.outcomes[n] = Outcome.ACKNOWLEDGED

    def go_on(self, shop: Shop) -> None:
        """Until it is stopped."""
        session: Session | None = None
        n = 0
        while not self.stop.is_set():
            try:
                if session is None:
                    session = shop.connect(Region.objects.get(apps=shop.app.pk))
                n += 1
                self.attempt(session, n)
            except psycopg.Error:
                if session:
                    session.close()
                session = None
            self.stop.wait(self.pause)
        if session:
            session.close()


class Inserts(Writer):
    """One row an attempt."""

    table, key = "entry", "key"
    schema = "CREATE TABLE entry (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, key text NOT NULL);"

    def keys(self, n: int) -> list[str]:
        return [f"{self.name}/{n}"]

    def write(self, session: Session, n: int) -> None:
        session.execute("INSERT INTO entry (key) VALUES (%s)", self.keys(n))

    def problems(self, rows: Rows) -> list[str]:
        found = Counter(
            key for (key,) in rows(f"SELECT {self.key} FROM {self.table} WHERE starts_with({self.key}, %s)", self.name)
        )
        wrong = []
        for n, outcome in self.outcomes.items():
            counts = {found.pop(key, 0) for key in self.keys(n)}
            allowed = {Outcome.ACKNOWLEDGED: ({1},), Outcome.REFUSED: ({0},), Outcome.UNKNOWN: ({0}, {1})}[outcome]
            if counts not in allowed:
                wrong.append(f"{self.name} {n} was {outcome.value} and is there {sorted(counts)} times")
        return wrong + [f"{key} was never written" for key in found]


class ManyRows(Inserts):
    """Twenty rows in one statement."""

    def keys(self, n: int) -> list[str]:
        return [f"{self.name}/{n}/{row}" for row in range(20)]

    def write(self, session: Session, n: int) -> None:
        keys = self.keys(n)
        session.execute("INSERT INTO entry (key) VALUES " + ", ".join(["(%s)"] * len(keys)), keys)


class Copies(ManyRows):
    """Twenty rows by COPY."""

    def write(self, session: Session, n: int) -> None:
        with session.cursor() as cursor, cursor.copy("COPY entry (key) FROM STDIN") as copy:
            for key in self.keys(n):
                copy.write_row((key,))


class LongTransactions(Inserts):
    """A row at each end of a transaction that is open for a second."""

    open_for = 1.0

    def keys(self, n: int) -> list[str]:
        return [f"{self.name}/{n}/begun", f"{self.name}/{n}/ended"]

    def write(self, session: Session, n: int) -> None:
        self.may_be_committed = False
        first, last = self.keys(n)
        session.execute("BEGIN")
        session.execute("INSERT INTO entry (key) VALUES (%s)", [first])
        self.stop.wait(self.open_for)
        session.execute("INSERT INTO entry (key) VALUES (%s)", [last])
        self.may_be_committed = True
        session.execute("COMMIT")


class Forced(Inserts):
    """Steps over the fence: sets its session or its transaction read-write."""

    pause = 0.2

    def write(self, session: Session, n: int) -> None:
        if n % 2:
            session.execute("SET default_transaction_read_only = off")
            super().write(session, n)
            return
        self.may_be_committed = False
        session.execute("BEGIN READ WRITE")
        super().write(session, n)
        self.may_be_committed = True
        session.execute("COMMIT")


class Keyless(Inserts):
    """Rows of a table without a key, each of them changed after it was inserted."""

    table, key = "log", "what"
    schema = "CREATE TABLE log (what text, seen int);"

    def write(self, session: Session, n: int) -> None:
        self.may_be_committed = False
        session.execute("BEGIN")
        session.execute("INSERT INTO log VALUES (%s, 0)", self.keys(n))
        session.execute("UPDATE log SET seen = seen + 1 WHERE what = %s", self.keys(n))
        self.may_be_committed = True
        session.execute("COMMIT")

    def problems(self, rows: Rows) -> list[str]:
        unseen = rows("SELECT what, seen FROM log WHERE starts_with(what, %s) AND seen <> 1", self.name)
        return super().problems(rows) + [f"{what} was changed {seen} times" for what, seen in unseen]


class Documents(Inserts):
    """200 KB of JSON each."""

    pause = 0.1
    table = "document"
    schema = "CREATE TABLE document (key text PRIMARY KEY, body jsonb NOT NULL, md5 text NOT NULL);"

    def write(self, session: Session, n: int) -> None:
        body = {"key": n, "words": [uuid.uuid4().hex for _ in range(6000)]}
        session.execute(
            "INSERT INTO document SELECT %s, b, md5(b::text) FROM (SELECT %s::jsonb AS b) given",
            [*self.keys(n), Jsonb(body)],
        )

    def problems(self, rows: Rows) -> list[str]:
        changed = rows("SELECT key FROM document WHERE md5 <> md5(body::text) OR length(body::text) < 200000")
        return super().problems(rows) + [f"{key} has another body" for (key,) in changed]


class Updates(Writer):
    """One row, set to the number of the attempt."""

    schema = "CREATE TABLE setting (name text PRIMARY KEY, n int NOT NULL);"

    def write(self, session: Session, n: int) -> None:
        if not self.acknowledged:
            session.execute("INSERT INTO setting VALUES (%s, %s)", [self.name, n])
            return
        session.execute("UPDATE setting SET n = %s WHERE name = %s", [n, self.name])

    def problems(self, rows: Rows) -> list[str]:
        last = max(n for n, outcome in self.outcomes.items() if outcome is Outcome.ACKNOWLEDGED)
        possible = {last} | {n for n, outcome in self.outcomes.items() if n > last and outcome is Outcome.UNKNOWN}
        found = rows("SELECT n FROM setting WHERE name = %s", self.name)
        return [] if len(found) == 1 and found[0][0] in possible else [f"{self.name} is {found}, not {possible}"]


class Upserts(Writer):
    """One row, counted up."""

    schema = "CREATE TABLE tally (name text PRIMARY KEY, n int NOT NULL);"

    def write(self, session: Session, n: int) -> None:
        session.execute(
            "INSERT INTO tally VALUES (%s, 1) ON CONFLICT (name) DO UPDATE SET n = tally.n + 1", [self.name]
        )

    def problems(self, rows: Rows) -> list[str]:
        counts = Counter(self.outcomes.values())
        least = counts[Outcome.ACKNOWLEDGED]
        found = rows("SELECT n FROM tally WHERE name = %s", self.name)
        if len(found) == 1 and least <= found[0][0] <= least + counts[Outcome.UNKNOWN]:
            return []
        return [f"{self.name} is {found}; {least} were acknowledged, {counts[Outcome.UNKNOWN]} are unknown"]


class Deletes(Writer):
    """Row after row of those that were there."""

    schema = "CREATE TABLE doomed (n int PRIMARY KEY); INSERT INTO doomed SELECT generate_series(1, 20000);"

    def write(self, session: Session, n: int) -> None:
        session.execute("DELETE FROM doomed WHERE n = %s", [n])

    def problems(self, rows: Rows) -> list[str]:
        left = {n for (n,) in rows("SELECT n FROM doomed")}
        expected = {Outcome.ACKNOWLEDGED: False, Outcome.REFUSED: True}
        wrong = [
            f"row {n}: its deletion was {outcome.value}"
            for n, outcome in self.outcomes.items()
            if outcome in expected and (n in left) is not expected[outcome]
        ]
        return wrong + [f"row {n} is gone" for n in range(max(self.outcomes) + 1, 20001) if n not in left]


class Sequences(Writer):
    """Numbers of a sequence that belongs to no table."""

    schema = "CREATE SEQUENCE ticket;"

    def __init__(self) -> None:
        super().__init__()
        self.numbers: list[int] = []

    def write(self, session: Session, n: int) -> None:
        row = session.execute("SELECT nextval('ticket')").fetchone()
        assert row
        self.numbers.append(row[0])

    def problems(self, rows: Rows) -> list[str]:
        twice = [f"ticket {n} was given {count} times" for n, count in Counter(self.numbers).items() if count > 1]
        backwards = [f"ticket {after} came after {n}" for n, after in pairwise(self.numbers) if after < n]
        return twice + backwards


ALL: tuple[type[Writer], ...] = (
    Inserts, ManyRows, Copies, LongTransactions, Keyless, Documents, Updates, Upserts, Deletes, Sequences
)  # fmt: skip
SCHEMA = "".join(dict.fromkeys(kind.schema for kind in ALL))


@contextmanager
def writing(shop: Shop, *kinds: type[Writer]) -> Iterator[list[Writer]]:
    """One writer of each kind, at work inside; every one has been answered before the body begins."""
    writers = [kind() for kind in kinds]

    def work(writer: Writer) -> None:
        try:
            writer.go_on(shop)
        finally:
            writer.stop.set()
            connection.close()

    with ThreadPoolExecutor(len(writers)) as pool:
        working = [pool.submit(work, writer) for writer in writers]
        try:
            await_more(writers)
            yield writers
        finally:
            for writer in writers:
                writer.stop.set()
    for future in working:
        future.result()


def await_more(writers: list[Writer], count: int = 3) -> None:
    """Until each of them has had that many more attempts acknowledged, or one of them has stopped."""
    wanted = {writer.name: writer.acknowledged + count for writer in writers}
    wait_until(
        lambda: (
            any(writer.stop.is_set() for writer in writers)
            or all(writer.acknowledged >= wanted[writer.name] for writer in writers)
        ),
        seconds=60,
    )


def problems(shop: Shop, writers: list[Writer]) -> list[str]:
    """What is lost or doubled where the app lives now; every unknown outcome is allowed either way."""
    region = App.objects.get(pk=shop.app.pk).region

    def rows(statement: str, *params: Any) -> list[Any]:
        return shop.sql(region, statement, *params)

    return [problem for writer in writers for problem in [*writer.strange, *writer.problems(rows)]]

"""The rows that are written while both sides are compared: which they are, and whether they are the same by now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from django.conf import settings

from migrations_app.dataplane.database import touched, tripwire
from migrations_app.dataplane.database.connection import Cluster, explained
from migrations_app.dataplane.database.pgoutput import Table
from migrations_app.dataplane.database.touched import Key, Touched
from migrations_app.dataplane.process import Check
from migrations_app.verification.differences import apart
from migrations_app.verification.rows import Session, hashes_of
from migrations_app.verification.sides import Sides
from migrations_app.verification.state import Difference
from migrations_app.verification.tables import Pair

_LOOKUP_KEYS = 1_000

Differing = dict[Table, dict[Key, Difference]]


@contextmanager
def open_watched(primary: Cluster, *, watch: str, stream: str, check: Check) -> Iterator[Watched]:
    with primary.connect() as session:
        touched.prepare(session)
        yield Watched(primary, session, watch, stream, check)


class Watched:
    """The slot `watch` beside that of the `stream`, seen from a session of its own, whose text may be unconverted."""

    def __init__(self, primary: Cluster, session: Session, watch: str, stream: str, check: Check) -> None:
        self._primary, self._session = primary, session
        self._watch, self._stream, self._check = watch, stream, check

    def is_usable(self) -> bool:
        with explained(self._primary.region):
            return touched.is_usable(self._session, self._watch)

    def create(self, *, patience_seconds: int) -> str:
        return touched.create(self._primary, self._watch, patience_seconds=patience_seconds, check=self._check)

    def await_applied(self, lsn: str) -> None:
        """As touched.await_applied, for as long as a drain may take."""
        with explained(self._primary.region):
            touched.await_applied(
                self._session,
                self._stream,
                lsn,
                deadline_seconds=settings.MOVES_DRAIN_SECONDS,
                check=self._check,
            )

    def read(
        self, pairs: Mapping[Table, Pair], take: Callable[[Touched], None], *, advance: bool, after: str
    ) -> Touched:
        """What was touched of these tables until now. With `advance` in parts, which the slot lets go of once `take`
        has returned; `after`: leave out what was committed before."""
        key_columns = {pair.name: pair.key for pair in pairs.values()}
        read = Touched()
        while not read.complete:
            with explained(self._primary.region):
                found = touched.read(
                    self._session,
                    self._watch,
                    self._stream,
                    key_columns,
                    check=self._check,
                    everything=not advance,
                    after=after,
                )
                take(found)
                read.add_all(found)
                if advance:
                    tripwire.advance(self._session, self._watch, found.lsn)
        return read


def look_up(sides: Sides, pairs: Mapping[Table, Pair], keys: Mapping[Table, set[Key]]) -> Differing:
    """The rows by these keys that are not the same on both sides now, and how they differ."""
    asked = []
    for table, of_table in keys.items():
        pair, ordered = pairs[table], sorted(of_table)
        assert pair.source and pair.dest  # noqa: S101, PT018 — else it is none of these
        for n in range(0, len(ordered), _LOOKUP_KEYS):
            some = ordered[n : n + _LOOKUP_KEYS]
            asked.append((table, sides.on(sides.source, hashes_of, pair.source, some)))
            asked.append((table, sides.on(sides.dest, hashes_of, pair.dest, some)))
    sides.wait([one for _, one in asked])
    differ: Differing = {table: {} for table in keys}
    for (table, left), (_, right) in zip(asked[::2], asked[1::2], strict=True):
        differ[table] |= apart(left.result(), right.result())
    return differ

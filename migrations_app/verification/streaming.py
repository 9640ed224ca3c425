"""Compares both sides of a stream while the app goes on writing, and leaves little for the time of the block.

A slot beside the stream's own, the watch, tells which rows are written (dataplane/database/touched.py). At any time, a
row in a finished chunk has been found equal and was not written since, or is pending, or is still on the watch slot. A
pending row is compared once the stream has passed its last write: it is equal then, or was written again meanwhile, or
really differs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict
from itertools import islice
from typing import Any

from django.utils import timezone

from migrations_app.dataplane.database.connection import Cluster, rows
from migrations_app.dataplane.database.pgoutput import Table
from migrations_app.dataplane.database.touched import Key, Touched
from migrations_app.dataplane.database.tripwire import drop_slot
from migrations_app.dataplane.process import Check
from migrations_app.verification.chunks import Chunk, Progress, compare_chunks
from migrations_app.verification.comparison import compare_tables
from migrations_app.verification.differences import row_findings
from migrations_app.verification.mark import mark
from migrations_app.verification.properties import (
    compare_definitions,
    compare_sequences,
    compare_unstreamed,
    definition,
)
from migrations_app.verification.report import Depth, Finding, Report
from migrations_app.verification.rows import Digest, differing, hashes
from migrations_app.verification.sides import Sides
from migrations_app.verification.state import MOST_KEYS, State
from migrations_app.verification.tables import Pair, pairs, shapes
from migrations_app.verification.watched import Differing, look_up, open_watched

_PUBLISHED = "SELECT schemaname, tablename FROM pg_publication_tables WHERE pubname = %s"

_SLOT_SECONDS = 60
_KEEP_SECONDS = 1.0
_PASS_SECONDS = 5.0
_FEW_ROWS = 2_000


class StreamingComparison:
    """Of `primary` with the `replica` that the stream keeps current; open while the context is.

    `watch` is the name of the slot at the primary, `kept` what an earlier runner has handed to `keep`, which is called
    about once a second and before the watch slot lets go of anything. `on_progress(done, total)` counts rows, the total
    as the statistics have it. `retained`: the other side is fenced, and what no stream carries is not compared.

    In this order: begin, compare_rows and compare_properties, narrow as often as wanted; settle and check_again while
    nobody writes; end. Errors: TransientError `stream_stuck` when the stream does not keep up.
    """

    def __init__(
        self,
        primary: Cluster,
        replica: Cluster,
        *,
        stream: str,
        watch: str,
        jobs: int,
        depth: Depth,
        check: Check,
        kept: dict[str, Any],
        keep: Callable[[dict[str, Any]], None],
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        retained: bool = False,
    ) -> None:
        self.primary, self.replica = primary, replica
        self._stream, self._watch = stream, watch
        self._jobs, self._depth, self._check = jobs, depth, check
        self._keep, self._on_progress, self._retained = keep, on_progress, retained
        self._state = State.from_json(kept)
        self._streamed: dict[Table, Pair] = {}
        self._others: list[Pair] = []
        self._estimate = 0
        self._suspects: dict[Table, set[Key]] = {}
        self._unequal: set[Table] = set()
        self._adding = threading.Lock()
        self._kept_at = self._passed_at = 0.0
        self._settled: Report | None = None
        self._settled_lsn = ""

    def __enter__(self) -> StreamingComparison:
        self._began = time.monotonic()
        with ExitStack() as stack:
            self._watched = stack.enter_context(
                open_watched(self.primary, watch=self._watch, stream=self._stream, check=self._check)
            )
            self._sides = stack.enter_context(Sides(self.primary, self.replica, size=self._jobs + 2, check=self._check))
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    # -- while the app writes ---------------------------------------------------------------------------------

    def begin(self) -> None:
        """Make the watch slot, unless an earlier runner has, and wait until the stream has passed where it begins."""
        if not (self._state.watch and self._watched.is_usable()):
            self._state = State()
            self._state.watch = self._watched.create(patience_seconds=_SLOT_SECONDS)
            self._save()
        self._watched.await_applied(self._state.watch)
        with self._sides.session(self.primary) as session:
            published = set(map(tuple, rows(session, _PUBLISHED, self._stream)))
        both = pairs(*self._sides.both(shapes))
        self._streamed = {pair.name: pair for pair in both if pair.name in published and pair.source and pair.dest}
        self._others = [pair for pair in both if pair.name not in self._streamed]
        self._state.keep_only(self._streamed.keys())
        marks = self._sides.wait(self._start_marks())
        if self._state.begun and self._state.begun != marks:
            self._state.whole |= self._streamed.keys()  # columns may be others than those that were compared
        self._state.begun = marks
        self._estimate = sum(pair.source.estimate for pair in self._streamed.values() if pair.source)

    def compare_rows(self) -> None:
        """Compare the tables that no earlier runner has finished. A row that differs is a difference at once unless it
        is being written; see `differences`."""
        if self._depth is Depth.SCHEMA:
            return
        self._read()
        self._compare_chunks(
            [
                pair
                for pair in self._streamed.values()
                if not self._is_done(pair.name) and pair.name not in self._state.whole
            ]
        )
        self._pass()

    def narrow(self) -> int:
        """Compare again what was written meanwhile, until little is left or it does not get less. Returns how many rows
        are left, those of tables without a key as the last comparison counted them."""
        if self._depth is Depth.SCHEMA:
            return 0
        self._compare_again()
        left = self._pass()
        while left > _FEW_ROWS:
            before, left = left, self._pass()
            if left > before * 0.7:
                break
        return left + sum(self._state.progress[table].mark.rows for table in self._state.whole)

    def compare_properties(self) -> None:
        """Compare schema, roles, extensions and the database's properties, unless they are as they were compared."""
        marks = self._sides.wait(self._start_marks())
        if marks != self._state.marks:
            self._state.definitions = [asdict(finding) for finding in self._definitions()]
            self._state.marks = marks
            self._save()

    @property
    def differences(self) -> list[Finding]:
        """What is known to differ by now."""
        return self._report().differences

    def report(self) -> Report:
        """While nothing is blocked: what was found, what no stream carries, and what is written to all the time."""
        report = self._report()
        report.not_carried = self._not_carried()
        report.unsettled = [
            *(f"table {'.'.join(table)}: {len(keys)} rows" for table, keys in self._state.pending.items() if keys),
            *(f"table {self._streamed[table].title}: {self._bytes(table)} bytes" for table in self._state.whole),
        ]
        return report

    # -- while nobody writes ----------------------------------------------------------------------------------

    def settle(self) -> Report:
        """Compare what is left. The primary is fenced and the replica has applied everything."""
        began = time.monotonic()
        conclude = compare_unstreamed(self._sides)
        marks = self._start_marks()
        self._settled_lsn = self._read(advance=False).lsn
        left = [
            pair
            for name, pair in self._streamed.items()
            if self._depth is not Depth.SCHEMA
            and (name in self._state.whole or not self._state.progress[name].mark.done)
        ]
        for pair in left:
            self._state.progress[pair.name] = Progress()
        keys = {table: keys for table, keys in self._state.pending.items() if self._is_done(table)}
        report = self._compare_last([*left, *self._others], keys)
        conclude(report)
        now = self._sides.wait(marks)
        if now != self._state.marks:
            self._state.definitions = [asdict(finding) for finding in self._definitions()]
        if now != self._state.begun and self._depth is not Depth.SCHEMA:
            known = [*self._streamed.values(), *self._others]
            changed = [pair for pair in pairs(*self._sides.both(shapes)) if pair not in known]
            compare_tables(self._sides, changed, report, jobs=self._jobs)
        before = self._report()
        report.findings += before.findings
        report.rows, report.chunks = report.rows + before.rows, report.chunks + before.chunks
        report.seconds_in_block = time.monotonic() - began
        report.seconds = self._seconds()
        self._settled = report
        return report

    def check_again(self) -> Report:
        """Behind the hard fence: compare what has come since settle(), and add it to its report. Sequences only
        now: who steps over the soft fence moves them on, and they are copied once more behind the hard one."""
        assert self._settled is not None  # noqa: S101 — the order of calls
        began = time.monotonic()
        conclude = compare_sequences(self._sides)
        later = self._read(advance=False, after=self._settled_lsn)
        again = [self._streamed[table] for table in later.whole]
        found = self._compare_last(again, later.keys)
        report = self._settled
        conclude(report)
        report.findings += found.findings + [one for one in self._report().differences if one not in report.findings]
        report.rows_in_block += found.rows_in_block
        report.seconds_in_block += time.monotonic() - began
        report.seconds, report.at = self._seconds(), timezone.now()
        return report

    def end(self) -> None:
        """Drop the watch slot. Also without begin(), and without the context."""
        drop_slot(self.primary, self._watch, check=self._check)

    # -- parts --------------------------------------------------------------------------------------------------

    def _compare_last(self, tables: list[Pair], keys: dict[Table, set[Key]]) -> Report:
        report = Report(depth=self._depth)
        if self._depth is not Depth.SCHEMA:
            for table, found in self._look_up(keys).items():
                self._state.found[table] |= found
            compare_tables(self._sides, tables, report, jobs=self._jobs)
            report.rows_in_block = report.rows + sum(map(len, keys.values()))
        return report

    def _compare_chunks(self, tables: list[Pair]) -> None:
        compare_chunks(
            self._sides,
            [(pair, self._state.progress[pair.name]) for pair in tables],
            jobs=self._jobs,
            depth=self._depth,
            on_chunk=self._on_chunk,
            tick=self._tick,
        )
        self._read()
        for table in self._unequal - self._state.whole:
            self._state.found[table][()] = "", ""
        self._unequal.clear()
        self._save()

    def _on_chunk(self, chunk: Chunk, at_source: Digest, at_dest: Digest) -> None:
        if at_source == at_dest:
            return
        table = chunk.pair.name
        if not chunk.pair.key:
            with self._adding:
                self._unequal.add(table)
            return
        with (
            self._sides.session(self.primary) as left,
            self._sides.session(self.replica) as right,
            closing(hashes(left, chunk.source, chunk.within)) as at_left,
            closing(hashes(right, chunk.dest, chunk.within)) as at_right,
        ):
            keys = set(islice(differing(at_left, at_right), MOST_KEYS + 1))
        with self._adding:
            self._suspects.setdefault(table, set()).update(keys)

    def _is_done(self, table: Table) -> bool:
        return self._state.progress[table].mark.done

    def _compare_again(self) -> None:
        """The tables to be compared as a whole; who is written to in the meantime is to be compared once more."""
        self._watched.await_applied(self._read().lsn)
        again, self._state.whole = self._state.whole, set()
        tables = [self._streamed[table] for table in again]
        for pair in tables:
            self._state.progress[pair.name] = Progress()
        self._compare_chunks(tables)

    def _pass(self) -> int:
        """Compare the pending rows and keep those that were written again. Returns how many those are."""
        lsn = self._read().lsn
        looked_at = {table: set(keys) for table, keys in self._state.pending.items()}
        if any(looked_at.values()):
            self._watched.await_applied(lsn)
            differ = self._look_up(looked_at)
            again = self._read()
            for table, keys in looked_at.items():
                written = keys if table in again.whole else again.keys.get(table, set())
                self._state.pending[table] -= keys - written
                for key in differ[table].keys() - written:
                    self._state.found[table][key] = differ[table][key]
            self._save()
        self._passed_at = time.monotonic()
        return self._state.rows

    def _look_up(self, keys: dict[Table, set[Key]]) -> Differing:
        return look_up(self._sides, self._streamed, keys)

    def _read(self, *, advance: bool = True, after: str = "") -> Touched:
        """Add to the state what was touched; `after`: by what was committed behind there only."""

        def take(found: Touched) -> None:
            self._state.add(found)
            if advance:
                self._save()

        return self._watched.read(self._streamed, take, advance=advance, after=after)

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._kept_at > _KEEP_SECONDS:
            self._save()
            done = sum(progress.mark.rows for progress in self._state.progress.values())
            self._on_progress(done, max(done, self._estimate))
        since = now - self._passed_at
        if since > _PASS_SECONDS or (since > _KEEP_SECONDS and self._state.rows > _FEW_ROWS):
            self._pass()

    def _save(self) -> None:
        with self._adding:
            # Before it says that a chunk is finished: what of it has to be looked at again.
            for table, keys in self._suspects.items():
                self._state.add_keys(table, keys)
            self._suspects.clear()
            whole = sorted(self._state.whole | self._unequal)
            kept = {**self._state.as_json(), "whole": whole, "seconds": self._seconds()}
        self._keep(kept)
        self._kept_at = time.monotonic()

    def _seconds(self) -> float:
        return self._state.seconds + time.monotonic() - self._began

    def _start_marks(self) -> list[Any]:
        def of(side: Cluster) -> str:
            defined = definition(side, fenced=True)
            with self._sides.session(side) as session:
                return mark(session, defined)

        return [self._sides.start(of, side) for side in (self.primary, self.replica)]

    def _definitions(self) -> list[Finding]:
        report = Report()
        compare_definitions(self._sides, fenced=self._retained)(report)
        return report.findings

    def _report(self) -> Report:
        report = Report([Finding(**finding) for finding in self._state.definitions], self._depth)
        for table, pair in sorted(self._streamed.items()):
            reached, found = self._state.progress[table].mark, self._state.found.get(table, {})
            report.rows += reached.rows
            report.chunks += reached.compared
            if reached.done or found:
                report.findings += row_findings(pair, reached, found)
        report.seconds = self._seconds()
        return report

    def _bytes(self, table: Table) -> int:
        shape = self._streamed[table].source
        return shape.bytes if shape else 0

    def _not_carried(self) -> list[str]:
        if not self._retained:
            return []
        listed = ["who may connect", "positions of sequences", "large objects", "contents of materialised views"]
        return listed + [f"table {pair.title}" for pair in self._others]

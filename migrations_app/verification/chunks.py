"""Compares tables range by range of their keys, several at a time, on both sides at once.

The ranges leave no gap and are open at both ends of a table, so that a row too many is found wherever it is.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from migrations_app.dataplane.database.touched import Key
from migrations_app.verification.report import Depth
from migrations_app.verification.rows import Digest, Range, digest, next_cut
from migrations_app.verification.sides import Sides
from migrations_app.verification.tables import Pair, Shape

CHUNK_ROWS = 20_000

_EVERY = 10


@dataclass(frozen=True)
class Mark:
    """How far a table is compared: `chunks` of its ranges are passed, up to the key `upto`; `compared` is how many of
    them were read, with `rows` in them."""

    chunks: int = 0
    compared: int = 0
    rows: int = 0
    upto: Key | None = None
    done: bool = False


class Progress:
    """Replaces its mark as ranges are finished; a thread that looks at it sees one that is whole."""

    def __init__(self, mark: Mark | None = None) -> None:
        self.mark = mark or Mark()
        self._ahead: dict[int, tuple[Key | None, Digest | None]] = {}

    def finish(self, number: int, upto: Key | None, digest: Digest | None) -> None:
        """Several are compared at a time, and only what has no gap before it counts as done."""
        self._ahead[number] = upto, digest
        while self.mark.chunks in self._ahead:
            upto, found = self._ahead.pop(self.mark.chunks)
            self.mark = Mark(
                chunks=self.mark.chunks + 1,
                compared=self.mark.compared + (found is not None),
                rows=self.mark.rows + (found[0] if found else 0),
                upto=upto,
                done=upto is None,
            )


@dataclass(frozen=True)
class Chunk:
    """A range of one table, whose shapes are those of the two sides."""

    pair: Pair
    source: Shape
    dest: Shape
    progress: Progress
    number: int
    within: Range


def compare_chunks(
    sides: Sides,
    work: list[tuple[Pair, Progress]],
    *,
    jobs: int,
    depth: Depth,
    on_chunk: Callable[[Chunk, Digest, Digest], None],
    tick: Callable[[], None],
) -> None:
    """Compare what is left of each table that is on both sides. `on_chunk` is called in a thread."""
    cutting, finishing = threading.Lock(), threading.Lock()
    chunks = _cut(sides, work)

    def next_chunk() -> Chunk | None:
        with cutting:
            return next(chunks, None)

    def compare() -> None:
        while chunk := next_chunk():
            at_source = None
            if is_taken(chunk.number, depth):
                legs = [
                    sides.on(sides.source, digest, chunk.source, chunk.within),
                    sides.on(sides.dest, digest, chunk.dest, chunk.within),
                ]
                at_source, at_dest = (leg.result() for leg in legs)
                on_chunk(chunk, at_source, at_dest)
            with finishing:
                chunk.progress.finish(chunk.number, chunk.within[1], at_source)

    sides.wait([sides.start(compare) for _ in range(jobs)], tick)


def is_taken(number: int, depth: Depth) -> bool:
    """Of a sample, the first chunk always: no table is passed over."""
    return depth is Depth.FULL or (depth is Depth.SAMPLE and (not number or zlib.crc32(b"%d" % number) % _EVERY == 0))


def _cut(sides: Sides, work: list[tuple[Pair, Progress]]) -> Iterator[Chunk]:
    for pair, progress in work:
        if pair.source is None or pair.dest is None:
            continue
        number, above = progress.mark.chunks, progress.mark.upto
        while True:
            upto = None
            if pair.cut:
                with sides.session(sides.source) as session:
                    upto = next_cut(session, pair.source, above, CHUNK_ROWS)
            yield Chunk(pair, pair.source, pair.dest, progress, number, (above, upto))
            if upto is None:
                break
            number, above = number + 1, upto

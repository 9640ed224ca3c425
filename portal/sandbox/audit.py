"""Compares what the traffic was promised with what the region that serves now really has."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

import psycopg

from migrations_app.dataplane import rclone
from portal.sandbox.ledger import Ledger

_KEYS_AT_ONCE = 10_000

_FIND = """
    SELECT e.key, count(DISTINCT e.id), array_remove(array_agg(p.name), NULL)
      FROM entries e LEFT JOIN entry_pictures p ON p.entry_id = e.id
     WHERE e.key = ANY (%s)
     GROUP BY e.key
"""


@dataclass(frozen=True)
class Audit:
    """What became of the writes. The first four of the tuples have to be empty."""

    acknowledged: int
    unknown: int
    refused: int
    unknown_present: int
    """Writes without an answer that are there all the same: allowed, once."""
    lost_keys: tuple[str, ...]
    """Acknowledged, and not there."""
    duplicated_keys: tuple[str, ...]
    """Of any write, there more than once."""
    lost_pictures: tuple[str, ...]
    """Acknowledged with their entry, and without their row or their blob."""
    refused_present: tuple[str, ...]
    """Refused by the fence, and there."""

    @property
    def lost(self) -> int:
        return len(self.lost_keys)

    @property
    def duplicated(self) -> int:
        return len(self.duplicated_keys)

    @property
    def ok(self) -> bool:
        return not (self.lost_keys or self.duplicated_keys or self.lost_pictures or self.refused_present)


def audit(conninfo: str, ledger: Ledger, *, pictures: str | Callable[[], Collection[str]]) -> Audit:
    """Look up every key of a stopped traffic in the app's database `conninfo`.

    `pictures` is the rclone path of the app's bucket, or lists its names. Errors: psycopg.Error, StepError.
    """
    acknowledged = [write.key for write in ledger.acknowledged]
    with psycopg.connect(conninfo) as connection:
        counts, linked = _find(connection, [*acknowledged, *ledger.unknown, *ledger.refused])
    stored = set(_list(pictures) if isinstance(pictures, str) else pictures())
    return Audit(
        acknowledged=len(acknowledged),
        unknown=len(ledger.unknown),
        refused=len(ledger.refused),
        unknown_present=sum(key in counts for key in ledger.unknown),
        lost_keys=tuple(key for key in acknowledged if key not in counts),
        duplicated_keys=tuple(key for key, count in counts.items() if count > 1),
        lost_pictures=tuple(
            write.picture
            for write in ledger.acknowledged
            if write.picture and not (write.picture in stored and write.picture in linked.get(write.key, ()))
        ),
        refused_present=tuple(key for key in ledger.refused if key in counts),
    )


def _find(connection: psycopg.Connection, keys: Sequence[str]) -> tuple[dict[str, int], dict[str, list[str]]]:
    """For the keys that are there: how many entries each has, and the names of its pictures."""
    counts: dict[str, int] = {}
    linked: dict[str, list[str]] = {}
    for some in _batches(keys):
        for key, count, names in connection.execute(_FIND, [some]):
            counts[key], linked[key] = count, names
    return counts, linked


def _batches(keys: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(keys), _KEYS_AT_ONCE):
        yield list(keys[start : start + _KEYS_AT_ONCE])


def _list(path: str) -> list[str]:
    run = rclone.run(["lsf", "--files-only"], path, deadline_seconds=rclone.LONG_SECONDS)
    return run.stdout.decode().splitlines()

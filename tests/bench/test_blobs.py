"""How long the copy of a bucket takes, beside a plain `rclone copy` of the same between the same stores.

BENCH_RUNS times each, in turns; medians. Beside it: how long the comparison of both sides takes
afterwards, which every move has.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from migrations_app.dataplane import blobs
from migrations_app.models import Region
from tests.bench import report

RUNS = int(os.environ.get("BENCH_RUNS", "3"))

KINDS = {"5000 of 4 KB": (5000, 4 << 10), "8 of 32 MB": (8, 32 << 20)}
"""By name: how many blobs, and their size in bytes."""

OURS, PLAIN = "region-mover", "rclone copy"


def ours(source: str, dest: str) -> None:
    blobs.sync(source, dest)


def plain(source: str, dest: str) -> None:
    """What an operator would type."""
    subprocess.run(["rclone", "copy", source, dest], check=True, capture_output=True)


WAYS: dict[str, Callable[[str, str], None]] = {OURS: ours, PLAIN: plain}


@pytest.fixture
def name(regions: dict[str, Region]) -> Iterator[str]:
    """Of buckets that are removed afterwards."""
    name = f"bench-{uuid.uuid4().hex[:10]}"
    yield name
    for region in regions.values():
        blobs.purge(blobs.join(region.blobs, name))


def fill(folder: Path, count: int, size: int) -> None:
    # Without folders: when many of one folder are deleted at once, `rclone serve s3` may keep the empty folder, and the
    # bucket with it.
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.bin").write_bytes(os.urandom(size))


def test_blobs(name: str, us: Region, eu: Region, tmp_path: Path) -> None:
    source, dest = blobs.join(us.blobs, name), blobs.join(eu.blobs, name)
    rows: list[report.Row] = []
    for kind, (count, size) in KINDS.items():
        folder = tmp_path / str(size)
        fill(folder, count, size)
        blobs.sync(str(folder), source)
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        compared: dict[str, list[float]] = {way: [] for way in WAYS}
        for run in range(RUNS):
            for turn in range(len(WAYS)):  # who comes first changes from run to run
                way = list(WAYS)[(run + turn) % len(WAYS)]
                blobs.purge(dest)
                blobs.make(dest)
                began = time.monotonic()
                WAYS[way](source, dest)
                copied = time.monotonic()
                assert blobs.differences(source, dest) == []
                compared[way].append(time.monotonic() - copied)
                seconds[way].append(copied - began)
                print(f"{kind}, run {run + 1}: {way} {copied - began:.2f} s, compared {compared[way][-1]:.2f} s")
        medians = {way: statistics.median(values) for way, values in seconds.items()}
        for way in WAYS:
            rows.append(
                {
                    "kind": kind,
                    "way": way,
                    "seconds": medians[way],
                    "spread": report.spread(seconds[way]),
                    "speed": medians[PLAIN] / medians[way],
                    "compared": statistics.median(compared[way]),
                    "runs": seconds[way],
                }
            )
        ratio = rows[-len(WAYS)]["speed"]
        print(f"{kind}: {'reached' if ratio >= 0.95 else 'MISSED'}: {ratio:.2f} of plain rclone's speed, wanted 0.95")
    report.add("blobs", rows, runs=RUNS)

"""The dump and its manifest of checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from migrations_app.dataplane.database import dump
from migrations_app.dataplane.process import no_check
from migrations_app.errors import AbortRequested, PermanentError
from migrations_app.models import Region
from tests.conftest import Shop


@pytest.fixture(params=[1, 2], ids=["one job", "two jobs"])
def folder(request: pytest.FixtureRequest, shop: Shop, us: Region, tmp_path: Path) -> Path:
    """A dump of a database with large objects."""
    dump.dump(shop.cluster(us), tmp_path / "dump", jobs=request.param, check=no_check)
    return tmp_path / "dump"


def test_the_manifest_has_every_file_as_it_is(folder: Path) -> None:
    manifest = json.loads((folder / dump.MANIFEST).read_text())
    contents = {path.name: path.read_bytes() for path in folder.iterdir() if path.name != dump.MANIFEST}
    assert manifest["files"] == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }
    assert any(name.startswith("blob_") for name in contents)
    total = sum(len(content) for content in contents.values())
    assert manifest["bytes"] == total == dump.verify(folder, jobs=2, check=no_check)


def _one_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        _one_byte,
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.unlink(),
        lambda path: path.with_name("9999.dat").touch(),
        lambda path: path.with_name(dump.MANIFEST).write_text("{"),
    ],
    ids=["a byte", "cut short", "missing", "one too many", "the manifest"],
)
def test_a_damaged_dump_is_refused(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(max((path for path in folder.glob("*.dat")), key=lambda path: path.stat().st_size))
    with pytest.raises(PermanentError) as refused:
        dump.verify(folder, jobs=2, check=no_check)
    assert refused.value.code == "dump_damaged"


def test_an_interrupt_ends_the_reading(folder: Path) -> None:
    def check() -> None:
        raise AbortRequested

    with pytest.raises(AbortRequested):
        dump.verify(folder, jobs=2, check=check)

"""The dump and its manifest of checksums."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from psycopg import sql

from migrations_app.dataplane.database import creation, dump
from migrations_app.dataplane.database.connection import value
from migrations_app.dataplane.process import no_check
from migrations_app.errors import AbortRequested, PermanentError
from migrations_app.models import Region
from migrations_app.move import cluster
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


@pytest.fixture
def sluggish(eu: Region) -> Iterator[None]:
    """In eu-west-1, nothing but a commit that waits for it takes WAL to the disk within ten seconds."""
    with cluster(eu, "").admin() as admin:
        admin.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
        admin.execute("SELECT pg_reload_conf()")
        yield
        admin.execute("ALTER SYSTEM RESET wal_writer_delay")
        admin.execute("SELECT pg_reload_conf()")


def test_what_is_restored_has_reached_the_disk(
    make_shop: Callable[..., Shop], us: Region, eu: Region, tmp_path: Path, sluggish: None
) -> None:
    """Its commits do not wait for the disk one by one."""
    shop = make_shop(schema="CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item SELECT generate_series(1, 1000)")
    source, dest = shop.cluster(us), shop.cluster(eu)
    with dest.admin() as admin:
        admin.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(dest.dbname)))
    creation.create(dest, creation.read(source))
    creation.admit(dest, creation.read(source))
    dump.dump(source, tmp_path / "dump", jobs=2, check=no_check)
    dump.restore(dest, tmp_path / "dump", jobs=2, check=no_check)
    with dest.connect() as connection:
        flushed = value(connection, "SELECT pg_current_wal_flush_lsn()::text")
        connection.execute("CREATE EXTENSION pageinspect SCHEMA public")
        its_last = "public.page_header(public.get_raw_page('public.item_pkey', 0))"
        assert value(connection, f"SELECT ({its_last}).lsn <= %s::pg_lsn", flushed)


def test_an_interrupt_ends_the_reading(folder: Path) -> None:
    def check() -> None:
        raise AbortRequested

    with pytest.raises(AbortRequested):
        dump.verify(folder, jobs=2, check=check)

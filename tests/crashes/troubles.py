"""Trouble with the servers and files around a move: each a context manager, over at its end."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import redis
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from migrations_app.models import AppMigration, Region
from portal.sandbox import readiness
from portal.sandbox.layout import find_layout
from portal.sandbox.state import Sandbox, require
from tests.crashes.proxy import Proxy

WAY_ROUND = {"127.0.0.1": "127.0.1.1", "127.0.0.2": "127.0.1.2", "127.0.0.3": "127.0.1.3"}
"""Where the proxies of a region's servers listen, on the servers' own ports."""


def sandbox() -> Sandbox:
    return require(find_layout())


@contextmanager
def for_seconds(seconds: float, trouble: AbstractContextManager[object]) -> Iterator[None]:
    """No shorter than that, whatever becomes of the move."""
    ends_at = time.monotonic() + seconds
    with trouble:
        yield
        time.sleep(max(0.0, ends_at - time.monotonic()))


@contextmanager
def then(trouble: AbstractContextManager[object], act: Callable[[], object]) -> Iterator[None]:
    with trouble:
        act()
        yield


@contextmanager
def in_the_background(work: Callable[[], None], enough: threading.Event) -> Iterator[None]:
    """In a thread that ends when `enough` is set, which it is at the end."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


# -- servers ------------------------------------------------------------------------------------------------------


def supervisor() -> Any:
    at = sandbox()
    return readiness.supervisor_rpc(at.address("control"), at.password("control"), seconds=60)


@contextmanager
def away(server: str) -> Iterator[None]:
    """Killed, and not started again until the end."""
    name = f"servers:{server}"
    supervisor().signalProcess(name, "KILL")
    while supervisor().getProcessInfo(name)["statename"] != "STOPPED":
        with suppress(xmlrpc.client.Fault):  # between two starts there is nothing to stop
            supervisor().stopProcess(name)
    try:
        yield
    finally:
        supervisor().startProcess(name)


@contextmanager
def restarting(server: str, pauses: tuple[float, float], rng: random.Random) -> Iterator[None]:
    """Now stopped, now killed, and started again, every so many seconds."""
    enough = threading.Event()

    def again_and_again() -> None:
        while not enough.wait(rng.uniform(*pauses)):
            with suppress(xmlrpc.client.Fault):  # it is not up yet again
                supervisor().signalProcess(f"servers:{server}", rng.choice(["INT", "QUIT", "KILL"]))

    with in_the_background(again_and_again, enough):
        yield


@contextmanager
def forgetting() -> Iterator[None]:
    """Redis has lost everything."""
    redis.from_url(settings.REDIS_URL).flushall()
    yield


@contextmanager
def health_never_green(host: str, port: int) -> Iterator[None]:
    """Whatever listens there stands still, as soon as it listens."""
    enough = threading.Event()

    def stand_still() -> None:
        while not enough.wait(0.01):
            for each in psutil.net_connections("tcp4"):
                if each.status == psutil.CONN_LISTEN and each.laddr == (host, port) and each.pid:
                    with suppress(psutil.NoSuchProcess):
                        psutil.Process(each.pid).suspend()

    with in_the_background(stand_still, enough):
        yield


# -- tools and files ----------------------------------------------------------------------------------------------


@contextmanager
def ended(tool: str) -> Iterator[None]:
    """The first process of that name is killed, as soon as it is there; its children are not."""
    enough = threading.Event()

    def look() -> None:
        while not enough.is_set():
            for process in psutil.process_iter(["name"]):
                if process.info["name"] == tool:
                    with suppress(psutil.NoSuchProcess):
                        process.kill()
                        return

    with in_the_background(look, enough):
        yield


def dump_changed(how: Callable[[Path], None]) -> Callable[[], Any]:
    """Change the largest file of the dump of the latest move."""

    @contextmanager
    def trouble() -> Iterator[None]:
        move = AppMigration.objects.latest("initiated_at")
        folder = settings.MOVES_WORK_DIR / str(move.pk) / "dump"
        how(max(folder.glob("*.dat"), key=lambda file: file.stat().st_size))
        yield

    return trouble


def cut_short(file: Path) -> None:
    os.truncate(file, file.stat().st_size - 1)


def one_byte_changed(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@contextmanager
def disk_full(region: str) -> Iterator[None]:
    """The region's cluster has no room left on its disk."""
    filler = cluster_of(region) / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))
    try:
        yield
    finally:
        filler.unlink()
        with suppress(xmlrpc.client.Fault):  # it is still up
            supervisor().startProcess(f"servers:{region}-postgres")


@contextmanager
def on_small_disk(region: str, megabytes: int) -> Iterator[None]:
    """The region's cluster is moved onto a disk of its own. For root."""
    server, folder = f"{region}-postgres", cluster_of(region)
    aside = folder.with_name(f"{folder.name}-aside")
    supervisor().stopProcess(f"servers:{server}")
    owner = folder.stat()
    folder.rename(aside)
    folder.mkdir(mode=0o700)
    options = f"size={megabytes}m,mode=0700,uid={owner.st_uid},gid={owner.st_gid}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{aside}/.", str(folder)], check=True)
        supervisor().startProcess(f"servers:{server}")
        yield
    finally:
        supervisor().stopProcess(f"servers:{server}")
        shutil.rmtree(aside)
        subprocess.run(["cp", "-a", str(folder), str(aside)], check=True)
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()
        aside.rename(folder)
        supervisor().startProcess(f"servers:{server}")


def cluster_of(region: str) -> Path:
    return find_layout().cluster(f"{region}-postgres")


# -- the network --------------------------------------------------------------------------------------------------


@contextmanager
def proxies(addresses: list[str]) -> Iterator[list[Proxy]]:
    with ExitStack() as undo:
        found = []
        for address in addresses:
            host, _, port = address.rpartition(":")
            found.append(undo.enter_context(Proxy((host, int(port)), WAY_ROUND[host])))
        yield found


@contextmanager
def all_of(troubles: list[Callable[[], Any]]) -> Iterator[None]:
    with ExitStack() as undo:
        for trouble in troubles:
            undo.enter_context(trouble())
        yield


@contextmanager
def between_regions(near: Region, far: Region) -> Iterator[list[Proxy]]:
    """Proxies on every way between the two clusters, and on that of the workers to the far one."""

    def way_round(conninfo: str) -> str:
        return make_conninfo(conninfo, hostaddr=WAY_ROUND[str(conninfo_to_dict(conninfo)["host"])])

    def address(region: Region) -> str:
        parts = conninfo_to_dict(region.database)
        return f"{parts['host']}:{parts['port']}"

    before = [(region.pk, region.database, region.conn_from_regions) for region in (near, far)]
    with proxies([address(near), address(far)]) as found:
        Region.objects.filter(pk=far.pk).update(database=way_round(far.database))
        for region in (near, far):
            Region.objects.filter(pk=region.pk).update(conn_from_regions=way_round(region.address_for_regions))
        try:
            yield found
        finally:
            for pk, database, from_regions in before:
                Region.objects.filter(pk=pk).update(database=database, conn_from_regions=from_regions)


@contextmanager
def before_the_stores(env: dict[str, str], folder: Path) -> Iterator[list[Proxy]]:
    """Proxies in front of every region's blob store, for processes with that environment."""
    text = Path(os.environ["RCLONE_CONFIG"]).read_text()
    addresses = re.findall(r"endpoint = http://(\S+)", text)
    with proxies(addresses) as found:
        for address, proxy in zip(addresses, found, strict=True):
            text = text.replace(address, proxy.address)
        own = folder / "rclone.conf"
        own.write_text(text)
        own.chmod(0o600)
        env["RCLONE_CONFIG"] = str(own)
        yield found


@contextmanager
def before_the_portals_database(env: dict[str, str]) -> Iterator[Proxy]:
    with proxies([sandbox().address("portal-postgres")]) as (proxy,):
        env["DATABASE_URL"] += f"?hostaddr={proxy.host}"
        yield proxy

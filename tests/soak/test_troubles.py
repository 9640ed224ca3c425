"""Trouble around a move: servers gone, networks cut, frozen or slow, stores that fail, damaged files, wrong clocks.

As tests/soak/test_crashes.py, and with its table; CRASHES chooses groups, separated by commas.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from migrations_app import actions
from migrations_app.engine.plan import PIVOT, SNAPSHOT
from migrations_app.models import App, AppMigration, Region
from migrations_app.states import Status, Step
from tests.crashes import troubles
from tests.crashes.scene import Scene, Trouble, scene, token_of
from tests.crashes.troubles import away
from tests.guestbook import GuestBook
from tests.soak.test_crashes import stage, walk, wanted
from tests.waiting import wait_until

__all__ = ["stage"]

BEGINNINGS = [f"do:{step}:begin" for step in SNAPSHOT]


def there_and_back(
    stage: Scene, us: Region, eu: Region, trouble: Trouble, *, lasts: float = 0.0
) -> Callable[[str], None]:
    """Move into the trouble, until it is done; then back into it; then tear down."""

    def case(point: str) -> None:
        for dest in (eu, us):
            if stage.troubled(dest, point, trouble, lasts=lasts).status != Status.COMPLETED:
                stage.to(dest, "kill@claim:after")
        stage.tear_down()

    return case


# -- Redis ------------------------------------------------------------------------------------------------------------


@wanted("redis")
def test_redis_forgets_everything(stage: Scene, us: Region, eu: Region) -> None:
    walk(stage, "Redis: FLUSHALL", BEGINNINGS, there_and_back(stage, us, eu, troubles.forgetting))


@wanted("redis")
def test_redis_is_away_for_a_minute(stage: Scene, us: Region, eu: Region) -> None:
    points = [f"do:{step}:begin" for step in (Step.REQUESTED, Step.DUMPING_DATA, Step.UNBLOCKING_WRITES)]

    def case(point: str) -> None:
        stage.troubled(eu, point, for_a_minute)
        stage.to(us, "kill@claim:after")
        stage.tear_down()

    def for_a_minute() -> Any:
        return troubles.for_seconds(60, away("redis"))

    walk(stage, "Redis away for 60 s", points, case)


# -- the portal's PostgreSQL ------------------------------------------------------------------------------------------


@wanted("portal")
def test_the_portals_database_restarts_for_ten_minutes(stage: Scene, us: Region, eu: Region) -> None:
    rng = random.Random(20261121)
    minutes = float(os.environ.get("PORTAL_MINUTES", "10"))

    def moves(_: str) -> None:
        for region in (us, eu):
            stage.start("manage.py", "work", region.slug)
        ends_at = time.monotonic() + 60 * minutes
        moved = 0
        with troubles.restarting("portal-postgres", (5, 40), rng):
            while time.monotonic() < ends_at:
                moved += stage.moves_all_the_same(us, eu)
        print(f"  {moved} moves came through")
        assert moved
        stage.check()

    walk(stage, f"the portal's PostgreSQL restarts every 5 to 40 s for {minutes:.0f} min", ["one"], moves)


@wanted("portal")
def test_commits_whose_reply_is_lost(stage: Scene, us: Region, eu: Region) -> None:
    with troubles.before_the_portals_database(stage.env) as proxy:

        def lose() -> Any:
            return proxy.losing_replies_to(b"COMMIT", share=0.1)

        case = there_and_back(stage, us, eu, lose, lasts=60)
        walk(stage, "the reply to every tenth COMMIT of a worker is lost", ["do:requested:begin"] * 5, case)


# -- regions ----------------------------------------------------------------------------------------------------------


@wanted("network")
@pytest.mark.parametrize("kind", ["cut", "frozen", "slow"])
def test_the_network_between_the_regions(stage: Scene, us: Region, eu: Region, kind: str) -> None:
    with troubles.between_regions(near=eu, far=us) as proxies:
        each: dict[str, list[Trouble]] = {
            "cut": [proxy.cut for proxy in proxies],
            "frozen": [proxy.frozen for proxy in proxies],
            "slow": [partial(proxy.slow, 0.02) for proxy in proxies],
        }
        names = {"cut": "cut for 8 s", "frozen": "silent for 8 s", "slow": "20 ms slower each way"}
        trouble = partial(troubles.all_of, each[kind])
        case = there_and_back(stage, us, eu, trouble, lasts=600 if kind == "slow" else 8)
        points = BEGINNINGS[:1] if kind == "slow" else BEGINNINGS
        walk(stage, f"network between the regions {names[kind]}", points, case)


@wanted("network")
def test_an_abort_while_the_network_is_silent(stage: Scene, us: Region, eu: Region) -> None:
    """Nothing comes back from a server: the runner hangs, and is ended."""
    with troubles.between_regions(near=eu, far=us) as proxies:

        def case(point: str) -> None:
            def aborted_in_silence() -> Any:
                return troubles.then(troubles.all_of([proxy.frozen for proxy in proxies]), abort_and_wait)

            ended = stage.troubled(eu, point, aborted_in_silence)
            assert ended.status == Status.ABORTED

        def abort_and_wait() -> None:
            move = AppMigration.objects.latest("initiated_at")
            token = token_of(move)
            (stage.struck / "go").touch()
            time.sleep(1)
            actions.abort(move_id=move.pk, acting_user=None, reason="nothing happens")
            wait_until(lambda: token_of(move) > token, 60)

        points = [f"do:{step}:begin" for step in (Step.RESERVING_DEST, Step.BLOCKING_WRITES, Step.DUMPING_DATA)]
        walk(stage, "an abort while a region is silent", points, case)


@wanted("store")
@pytest.mark.parametrize("kind", ["500", "503", "half"])
def test_a_blob_store_fails(stage: Scene, us: Region, eu: Region, kind: str, tmp_path: Path) -> None:
    with troubles.before_the_stores(stage.env, tmp_path) as proxies:
        each: dict[str, list[Trouble]] = {
            "500": [partial(proxy.answering, "500 Internal Server Error") for proxy in proxies],
            "503": [partial(proxy.answering, "503 Slow Down") for proxy in proxies],
            "half": [partial(proxy.half, 700) for proxy in proxies],
        }
        names = {"500": "answers 500 for 10 s", "503": "answers 503 for 10 s", "half": "cuts its answers for 10 s"}
        case = there_and_back(stage, us, eu, partial(troubles.all_of, each[kind]), lasts=10)
        points = [f"do:{step}:begin" for step in (Step.REQUESTED, Step.RESERVING_DEST, Step.COPYING_BLOBS, PIVOT)]
        walk(stage, f"the blob store {names[kind]}", points, case)


@wanted("gone")
@pytest.mark.parametrize("server", ["eu-west-1-s3", "us-east-1-s3", "eu-west-1-supervisord", "edge"])
def test_a_server_is_gone_for_a_while(stage: Scene, us: Region, eu: Region, server: str) -> None:
    steps = {
        "s3": (Step.RESERVING_DEST, Step.COPYING_BLOBS),
        "supervisord": (Step.COPYING_RUNTIME, PIVOT),
        "edge": (Step.BLOCKING_WRITES, PIVOT, Step.UNBLOCKING_WRITES),
    }
    points = [f"do:{step}:begin" for name, some in steps.items() if server.endswith(name) for step in some]
    walk(
        stage,
        f"{server} gone for 10 s",
        points,
        there_and_back(stage, us, eu, partial(away, server), lasts=10),
    )


@wanted("gone")
def test_a_health_check_that_never_turns_green(stage: Scene, us: Region, eu: Region) -> None:
    stage.env["MOVES_HEALTH_SECONDS"] = "3"

    def case(point: str) -> None:
        never = partial(troubles.health_never_green, eu.app_host, stage.book.port)
        move = stage.troubled(eu, point, never, lasts=120)
        assert move.status == Status.FAILED
        assert "healthy" in move.last_error

    walk(stage, "a health check that never turns green", [f"do:{Step.COPYING_RUNTIME}:begin"] * 2, case)


@wanted("disk")
@pytest.mark.skipif(os.geteuid() != 0, reason="root makes the small disk")
@pytest.mark.parametrize("region", ["us-east-1", "eu-west-1"])
def test_a_full_disk(app: App, guestbook: GuestBook, regions: dict[str, Region], region: str) -> None:
    us, eu = regions["us-east-1"], regions["eu-west-1"]
    with troubles.on_small_disk(region, 1200), scene(app, guestbook, regions) as stage:
        case = there_and_back(stage, us, eu, partial(troubles.disk_full, region), lasts=10)
        points = [f"do:{step}:begin" for step in (Step.RESERVING_DEST, Step.RESTORING_DATA, PIVOT)]
        walk(stage, f"the disk of {region} full for 10 s", points, case)


# -- tools, files, clocks ---------------------------------------------------------------------------------------------


@wanted("dump")
@pytest.mark.parametrize("tool", ["pg_dump", "pg_restore"])
def test_a_tool_is_ended(stage: Scene, us: Region, eu: Region, tool: str) -> None:
    step = {"pg_dump": Step.DUMPING_DATA, "pg_restore": Step.RESTORING_DATA}[tool]

    def case(point: str) -> None:
        stage.troubled(eu, point, partial(troubles.ended, tool), lasts=5)
        stage.to(us, "kill@claim:after")
        stage.tear_down()

    walk(stage, f"kill -9 of {tool}", [f"do:{step}:begin"] * 3, case)


@wanted("dump")
@pytest.mark.parametrize(
    ("name", "how"),
    [("the dump cut short", troubles.cut_short), ("a byte of the dump changed", troubles.one_byte_changed)],
)
def test_a_damaged_dump(stage: Scene, eu: Region, name: str, how: Callable[[Path], None]) -> None:
    def case(point: str) -> None:
        move = stage.troubled(eu, point, troubles.dump_changed(how))
        assert (move.status, move.last_error_code) == (Status.FAILED, "dump_damaged")

    walk(stage, name, [f"do:{Step.DUMPING_DATA}:end"] * 2, case)


@wanted("clock")
@pytest.mark.parametrize("hours", ["+1", "-1"])
def test_a_workers_clock_is_wrong(stage: Scene, us: Region, eu: Region, hours: str) -> None:
    stage.env["FAULT_CLOCK_HOURS"] = hours

    def case(point: str) -> None:
        stage.with_a_server_lost(eu, "none@nowhere")
        stage.to(us, f"kill@{point}")
        stage.tear_down()

    walk(stage, f"a worker's clock {hours} h off, and kill -9", BEGINNINGS[::3], case)

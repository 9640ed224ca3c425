"""A part of the matrix of tests/soak/test_crashes.py, for every run."""

from __future__ import annotations

from migrations_app.models import App, Region
from migrations_app.states import Status, Strategy
from tests.crashes.scene import scene
from tests.guestbook import GuestBook


def test_whatever_dies_the_move_goes_on(app: App, guestbook: GuestBook, regions: dict[str, Region]) -> None:
    eu = regions["eu-west-1"]
    with scene(app, guestbook, regions) as stage:
        stage.to(eu, "fail@do:copying_runtime:effect,kill@undo:blocking_writes:act", ends=Status.FAILED)
        stage.to(eu, "kill_worker@do:flipping_routing:effect")
        stage.tear_down("kill@teardown:1")
        stage.audit()


def test_whatever_dies_the_live_move_goes_on(app: App, guestbook: GuestBook, regions: dict[str, Region]) -> None:
    us, eu = regions["us-east-1"], regions["eu-west-1"]
    with scene(app, guestbook, regions) as stage:
        stage.strategy = Strategy.LIVE
        stage.to(eu, "kill@do:restoring_data:effect")
        stage.to(us, "kill@do:setting_up_reverse_replication:act")
        stage.audit()

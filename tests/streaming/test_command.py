"""verify_migration, at any time."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from migrations_app import orphans
from migrations_app.dataplane.database import touched, tripwire
from migrations_app.dataplane.process import no_check
from migrations_app.models import AppMigration, Region
from migrations_app.verification import anytime
from migrations_app.verification.streaming import StreamingComparison
from tests.conftest import Shop, moved, torn_down
from tests.streaming.pair import DAMAGE, SCHEMA, Pair, writing


def verify(move: AppMigration, *options: str) -> tuple[int, dict[str, Any]]:
    """Exit status and answer of the command."""
    out = io.StringIO()
    try:
        call_command("verify_migration", str(move.pk), "--json", *options, stdout=out)
    except SystemExit as ended:
        return int(ended.code or 0), json.loads(out.getvalue())
    return 0, json.loads(out.getvalue())


@pytest.mark.slow
def test_the_command_compares_a_completed_move_under_writers(make_shop: Callable[..., Shop], us: Region) -> None:
    shop = make_shop(schema=SCHEMA)
    move = moved(shop.app, "eu-west-1")
    pair = Pair(shop, move, primary=move.dest_region, replica=us)
    with writing(pair):
        status, said = verify(move)
    assert (status, said["equal"], said["findings"] != []) == (0, True, True)
    assert "table public.scratch" in said["not_carried"]
    assert pair.slots() == [move.name_in_regions]
    for statement, _ in DAMAGE.values():
        shop.sql(us, statement)
    with writing(pair):
        status, said = verify(move)
    found = [f"{one['kind']} {one['name']}" for one in said["findings"] if not one["equal"]]
    assert status == 1
    for what, (_, expected) in DAMAGE.items():
        assert any(name.startswith(expected) for name in found), f"{what} was not found: {found}"
    assert pair.slots() == [move.name_in_regions]


def test_nobody_compares_the_same_twice_at_a_time(pair: Pair) -> None:
    primary = pair.shop.cluster(pair.primary)
    with anytime._alone(primary, f"{pair.move.name_in_regions}_check"):
        status, said = verify(pair.move)
    assert (status, said["error"]) == (1, "being_compared")


def test_the_command_leaves_no_slot_when_it_is_interrupted(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: object) -> None:
        assert f"{pair.move.name_in_regions}_check" in pair.slots()
        raise KeyboardInterrupt

    monkeypatch.setattr(StreamingComparison, "compare_rows", interrupt)
    status, said = verify(pair.move)
    assert (status, said["error"]) == (130, "stopped")
    assert pair.slots() == [pair.move.name_in_regions]


def test_a_move_without_a_second_side_is_refused(shop: Shop) -> None:
    move = moved(shop.app, "eu-west-1")
    torn_down(move)
    status, said = verify(move)
    assert (status, said["error"]) == (4, "no_second_side")


def test_a_slot_that_a_comparison_has_left_is_an_orphan_of_its_move(pair: Pair) -> None:
    def left() -> list[orphans.Orphan]:
        return [orphan for orphan in orphans.find(pair.shop.app).orphans if orphan.kind == "slot"]

    assert left() == []
    for end in ("_watch", "_check"):
        name = f"{pair.move.name_in_regions}{end}"
        touched.create(pair.shop.cluster(pair.primary), name, patience_seconds=30, check=no_check)
        assert [(one.name, one.app) for one in left()] == [(name, pair.shop.app.slug)]
        tripwire.drop_slot(pair.shop.cluster(pair.primary), name, check=no_check)

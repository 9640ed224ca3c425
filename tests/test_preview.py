"""move_app --dry-run: the plan, what it may take, and what preflight finds. Nothing is put on the books."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_app.engine.plan import LIVE, PLANS
from migrations_app.models import AppMigration
from migrations_app.preflight.table import CHECKS
from migrations_app.states import Strategy
from tests.conftest import Shop, moved, reversed_, torn_down
from tests.test_commands import answer, command
from tests.test_preflight import ALWAYS, KEYED, as_superuser


@pytest.fixture
def keyed(make_shop: Callable[..., Shop]) -> Shop:
    return make_shop(schema=KEYED)


def test_the_plan_is_told_step_by_step_with_every_finding(keyed: Shop) -> None:
    status, plan = answer("move_app", keyed.app.slug, "eu-west-1", "--dry-run", "--strategy", "live")
    assert (status, plan["ok"], plan["strategy"], plan["strategy_reason"]) == (0, True, "live", "")
    assert [step["step"] for step in plan["steps"]] == [str(step) for step in LIVE]
    assert [step["step"] for step in plan["steps"] if step["pivot"]] == ["flipping_routing"]
    assert all(step["what"] and step["changes"] for step in plan["steps"])
    assert plan["estimate"]["based_on"] == "nothing has been measured between these regions yet"
    assert plan["steps"][2]["bytes"] == plan["estimate"]["bytes"] > 0
    assert {finding["id"] for finding in plan["preflight"]} == {check.id for check in CHECKS}
    assert not AppMigration.objects.exists()


def test_auto_says_what_it_stands_for(keyed: Shop) -> None:
    argv = ("move_app", keyed.app.slug, "eu-west-1", "--dry-run", "--strategy", "auto")
    assert answer(*argv)[1]["strategy"] == "live"
    as_superuser(keyed, ALWAYS)
    status, plan = answer(*argv)
    assert (status, plan["strategy"]) == (0, "snapshot")
    assert plan["strategy_reason"].startswith("live is not possible: PF404 ")


def test_a_rehearsal_is_its_own_plan(keyed: Shop) -> None:
    _, plan = answer("move_app", keyed.app.slug, "eu-west-1", "--dry-run", "--rehearse")
    assert [step["step"] for step in plan["steps"]] == [str(step) for step in PLANS[Strategy.REHEARSAL]]
    assert plan["estimate"]["blocked_seconds"] == 0


def test_what_was_measured_is_expected(keyed: Shop) -> None:
    there = moved(keyed.app, "eu-west-1")
    back = reversed_(there)
    torn_down(back)
    _, text = command("move_app", keyed.app.slug, "eu-west-1", "--dry-run")
    assert "Judged by 1 earlier move from us-east-1 to eu-west-1." in text
    assert "In all: about " in text
    assert "writes blocked: about " in text
    assert "---- the point of no return ----" in text


def test_findings_are_told_the_worst_first(keyed: Shop) -> None:
    as_superuser(keyed, "CREATE SCHEMA portal_move; CREATE TABLE public.bag (what text)")
    status, text = command("move_app", keyed.app.slug, "eu-west-1", "--dry-run")
    assert status == 1
    titles = ["Forbids the move (fail): 1", "To be known before (warn): 1", "In order (pass): "]
    assert [text.index(title) for title in titles] == sorted(text.index(title) for title in titles)
    assert text.index("PF302 portal_schema: ") < text.index("PF401 replica_identity: ") < text.index("PF101 ")

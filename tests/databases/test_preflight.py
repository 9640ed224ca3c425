"""Preflight looks into databases of many kinds and leaves them, and their clusters, as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_app.models import AppMigration
from migrations_app.preflight import look
from migrations_app.preflight.table import CHECKS
from migrations_app.states import Strategy
from tests.databases import snapshot
from tests.databases.conftest import Built
from tests.databases.reading import Tree
from tests.databases.test_moves import DATABASES, EU, US
from tests.databases.trees import assert_equal


@pytest.mark.parametrize("name", DATABASES)
def test_it_looks_at_everything_and_changes_nothing(build: Callable[[str], Built], name: str) -> None:
    built = build(name)
    before = seen(built)
    for strategy in (Strategy.SNAPSHOT, Strategy.LIVE):
        row = AppMigration(
            app=built.app, source_region=built.regions[US], dest_region=built.regions[EU], strategy=strategy
        )
        findings = look(row)
        assert {finding["id"] for finding in findings} == {check.id for check in CHECKS}
        failed = [finding for finding in findings if finding["outcome"] == "fail"]
        assert not failed
    assert_equal(before, seen(built), "looked at")


def seen(built: Built) -> Tree:
    """Both clusters whole, and the database."""
    us, eu = built.at(US), built.at(EU)
    return {"us": snapshot.cluster(us), "eu": snapshot.cluster(eu), "database": snapshot.database(us)}

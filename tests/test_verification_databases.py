"""Databases of many kinds, compared with the replica that a move has left, before and after they are written to."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from migrations_app.dataplane.process import no_check
from migrations_app.move import cluster
from migrations_app.verification import chunks
from migrations_app.verification.report import Depth
from migrations_app.verification.streaming import StreamingComparison
from tests.conftest import moved
from tests.databases.conftest import Built, build  # noqa: F401 — a fixture
from tests.databases.test_moves import DATABASES, EU, US


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[] if name in ("objects", "values") else pytest.mark.slow) for name in DATABASES],
)
def test_it_is_equal_whatever_it_is_made_of(
    build: Callable[[str], Built],  # noqa: F811
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 3)
    built = build(name)
    move = moved(built.app, EU)
    primary, replica = (cluster(built.regions[region], name) for region in (EU, US))
    with StreamingComparison(
        primary,
        replica,
        stream=move.name_in_regions,
        watch=f"{move.name_in_regions}_check",
        jobs=2,
        depth=Depth.FULL,
        check=no_check,
        kept={},
        keep=lambda kept: None,
        retained=True,
    ) as comparison:
        comparison.begin()
        comparison.compare_properties()
        comparison.compare_rows()
        assert comparison.differences == []
        built.write(EU)
        assert comparison.narrow() == 0
        report = comparison.report()
        comparison.end()
    assert report.differences == []
    assert report.unsettled == []

"""schemathesis sends what the OpenAPI document allows and what it does not; nothing is wrong with the answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from migrations_app.models import Region
from migrations_app.states import Status
from tests import on_paper
from tests.api.caller import token_of
from tests.browser.portal import Portal
from tests.people import person

SECONDS = 20
LONG_SECONDS = int(os.environ.get("API_SOAK_SECONDS", "600"))
LEFT_OUT = (
    "positive_data_acceptance",  # what the document allows the rules may forbid
    "use_after_free",  # what was torn down is told from what never was
)


def explore(portal: Portal, folder: Path, seconds: int) -> None:
    """Fails with schemathesis' own report."""
    regions = sorted(Region.objects.values_list("slug", flat=True))
    for number, status in enumerate(Status):
        pivot = {"pivot_at": "2026-01-01T00:00Z"} if status == Status.COMPLETED else {}
        if status == Status.COMPLETED:
            on_paper.completed(on_paper.app("done", "team", regions[0]), regions[1])
        else:
            on_paper.move(on_paper.app(f"app-{number}", "team", regions[0]), regions[1], status=status, **pivot)
    on_paper.app("still", "team", regions[0])
    command = [
        *(str(Path(sys.executable).with_name("st")), "run", f"{portal.url}/v1/openapi.json"),
        *("--max-time", str(seconds), "--checks", "all", "--exclude-checks", ",".join(LEFT_OUT)),
        *("--header", f"Authorization: Bearer {token_of(person('robot', 'Admin'))}"),
        *("--generation-database", "none", "--no-color", "--warnings", "off", "--suppress-health-check", "all"),
        *("--request-timeout", "30", "--max-failures", "20", "--continue-on-failure"),
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=seconds * 2 + 120, check=False)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


@pytest.mark.django_db(transaction=True)
def test_nothing_is_wrong_with_the_answers(portal: Portal, tmp_path: Path) -> None:
    explore(portal, tmp_path, SECONDS)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_nothing_is_wrong_with_the_answers_for_long(portal: Portal, tmp_path: Path) -> None:
    explore(portal, tmp_path, LONG_SECONDS)

"""schemathesis sends what the OpenAPI document allows and what it does not; nothing is wrong with the answers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from migrations_app.models import ApiToken
from migrations_app.states import Status
from tests import on_paper
from tests.api.caller import token_of
from tests.browser.portal import Portal
from tests.people import person

SECONDS = 15
LONG_SECONDS = int(os.environ.get("API_SOAK_SECONDS", "600")) // 2
LEFT_OUT = (
    "positive_data_acceptance",  # what the document allows the rules may forbid
    "use_after_free",  # what was torn down is told from what never was
)


def books() -> str:
    """An app for each status that a move can have, and one without; the id of the completed move, of the app `done`."""
    us, eu = "us-east-1", "eu-west-1"
    for number, status in enumerate(sorted(set(Status) - {Status.COMPLETED})):
        on_paper.move(on_paper.app(f"app-{number}", "team", us), eu, status=status)
    on_paper.app("still", "team", us)
    return str(on_paper.completed(on_paper.app("done", "team", us), eu).pk)


def explore(portal: Portal, folder: Path, seconds: int, *, known: bool) -> None:
    """Fails with schemathesis' own report. `known`: addresses name what is there, so that no call ends with 404."""
    move_id = books()
    if known:
        things = {"app_id": "done", "migration_id": move_id, "region": "eu-west-1"}
        lines = ["[parameters]", *(f'"path.{name}" = "{value}"' for name, value in things.items())]
        (folder / "schemathesis.toml").write_text("\n".join(lines))
    command = [
        *(str(Path(sys.executable).with_name("st")), "run", f"{portal.url}/v1/openapi.json"),
        *("--max-time", str(seconds), "--checks", "all", "--exclude-checks", ",".join(LEFT_OUT)),
        *("--header", f"Authorization: Bearer {token_of(person('robot', 'Admin'))}"),
        *("--generation-database", "none", "--no-color", "--warnings", "off", "--suppress-health-check", "all"),
        *("--request-timeout", "30", "--max-failures", "20", "--continue-on-failure"),
    ]
    env = {**os.environ, "NETRC": os.devnull}  # the supervisords' login would take the token's place
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=seconds * 2 + 120)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    assert ApiToken.objects.get().last_used_at, "no call was let in"


@pytest.mark.django_db(transaction=True)
def test_nothing_is_wrong_with_the_answers(portal: Portal, tmp_path: Path) -> None:
    explore(portal, tmp_path, SECONDS, known=True)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [True, False])
def test_nothing_is_wrong_with_the_answers_for_long(portal: Portal, tmp_path: Path, known: bool) -> None:
    explore(portal, tmp_path, LONG_SECONDS, known=known)

"""docs/api.md names every call, and its examples run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from migrations_app.api.site import api
from migrations_app.states import Status
from tests import on_paper
from tests.api.caller import token_of
from tests.browser.portal import Portal
from tests.people import person

DOC = (Path(__file__).resolve().parents[2] / "docs/api.md").read_text()
MOVE = "/v1/apps/{app_id}/migrations/{migration_id}"


def test_it_has_a_row_for_every_call() -> None:
    rows = re.findall(r"^\| `((?:GET|POST|DELETE) [^ `]+)`", DOC, re.MULTILINE)
    shown = {call.replace("…/{migration_id}", MOVE) for call in rows}
    document = api.get_openapi_schema()
    assert shown == {f"{method.upper()} {path}" for path, calls in document["paths"].items() for method in calls}


def examples() -> list[str]:
    """The commands, each in one line."""
    blocks = re.findall(r"^```console\n(.*?)^```", DOC, re.MULTILINE | re.DOTALL)
    joined = "".join(blocks).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl on PATH")
@pytest.mark.django_db(transaction=True)
def test_its_examples_run(portal: Portal, tmp_path: Path) -> None:
    shop = on_paper.app("shop")
    left = on_paper.completed(on_paper.app("blog"))
    known = {"TOKEN": token_of(person("robot", "Admin")), "PORTAL": portal.url, "REPLICA": str(left.pk)}
    for command in examples():
        asked_for = shop.migrations.first()
        env = {"PATH": os.environ["PATH"], "ID": str(asked_for.pk) if asked_for else "", **known}
        done = subprocess.run(
            ["bash", "-c", command.replace("curl", "curl --silent --show-error --noproxy '*'", 1)],
            env=env,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, (command, done.stderr)
        assert "error" not in json.loads(done.stdout), (command, done.stdout)
    assert shop.migrations.get().status == Status.ABORTED

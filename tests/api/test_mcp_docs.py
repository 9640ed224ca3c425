"""What docs/mcp.md says is so."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from pytest_django.live_server_helper import LiveServer

from migrations_app.mcp.refusals import NEXT
from tests import on_paper
from tests.api.assistant import Assistant, token_of
from tests.people import person

PAGE = (Path(__file__).resolve().parents[2] / "docs/mcp.md").read_text()


def test_the_example_runs(live_server: LiveServer, tmp_path: Path) -> None:
    on_paper.region("eu-west-1")
    example = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert example
    secret = token_of(person("vera", "Viewer"))
    done = subprocess.run(
        [sys.executable, "-c", example[1]],
        env={**os.environ, "MOVES_URL": live_server.url, "MOVES_TOKEN": secret},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "{'regions': ['eu-west-1']}\n", done.stderr


def test_it_names_every_tool_with_its_arguments(live_server: LiveServer) -> None:
    olga = person("olga", "Operator")
    for name, tool in Assistant(live_server.url, token_of(olga)).tools().items():
        needed = tool.input_schema.get("required", [])
        arguments = ", ".join(f"{given}{'' if given in needed else '?'}" for given in tool.input_schema["properties"])
        assert f"| `{name}({arguments})` |" in PAGE


def test_it_says_what_every_refusal_means() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE.partition("## What a refusal means")[2], re.MULTILINE)
    assert set(NEXT) <= {code for row in rows for code in re.findall(r"`(\w+)`", row)}

"""manage.py itself: pipes, terminals and locales."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from portal.command_line import main

ROOT = Path(__file__).resolve().parents[2]
MANAGE = [sys.executable, str(ROOT / "manage.py")]


def manage(*argv: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **variables}
    return subprocess.run([*MANAGE, *argv], env=env, capture_output=True, text=True, timeout=60)


def test_it_may_be_called_by_its_own_name() -> None:
    assert (ROOT / "manage.py").stat().st_mode & stat.S_IXUSR


def test_an_unknown_command_is_wrong_usage_and_asked_back(capsys: pytest.CaptureFixture[str]) -> None:
    for flags in ([], ["--json"]):
        with pytest.raises(SystemExit) as ended:
            main(["manage.py", "mvoe_app", "shop", *flags])
        assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.err.splitlines() == ["There is no command mvoe_app.", "Do you mean move_app?"]
    assert json.loads(said.out) == {
        "error": "usage",
        "reason": "There is no command mvoe_app.",
        "hint": "Do you mean move_app?",
    }


def test_a_setting_that_cannot_be_read_is_named() -> None:
    done = manage("list_regions", "--json", MOVES_LEASE_SECONDS="soon")
    assert done.returncode == 1
    assert "MOVES_LEASE_SECONDS" in json.loads(done.stdout)["reason"]
    assert "Traceback" not in done.stderr


def test_a_misconfigured_portal_is_one_object() -> None:
    done = manage("list_regions", "--json", SECRET_KEY="")
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert (said["error"], "portal.E002" in said["reason"]) == ("check_failed", True)


def test_a_reader_that_is_gone_already_is_told_by_the_exit_status() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*MANAGE, "help"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_without_the_characters_gets_the_page_all_the_same() -> None:
    done = manage("completion", "--help", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2026" in done.stdout


def test_colours_are_off_where_nobody_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("DJANGO_COLORS", "")
    monkeypatch.delenv("DJANGO_COLORS")
    main(["manage.py", "version"])
    assert os.environ["DJANGO_COLORS"] == "nocolor"

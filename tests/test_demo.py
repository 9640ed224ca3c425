"""The demo as a newcomer runs it: workers, bell, edge and traffic, in a sandbox of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from portal.sandbox.layout import CHECKOUT
from tests.commands.test_json import KEYS

COUNTS = ["acknowledged_writes", "lost_writes", "duplicated_writes", "reads", "failed_reads", "refused_writes"]


def test_it_loses_nothing_and_leaves_nothing_running(tmp_path: Path) -> None:
    home = tmp_path / "with a space"
    inherited = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "PYTHONDONTWRITEBYTECODE")}
    env = {**inherited, "HOME": str(tmp_path), "SANDBOX_DIR": str(home), "SANDBOX_FSYNC": "off"}

    def manage(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, str(CHECKOUT / "manage.py"), *argv], env=env, capture_output=True, text=True, timeout=240
        )

    try:
        done = manage("demo", "--exit", "--json", "--rows", "2000")
        assert done.returncode == 0, done.stdout + done.stderr
        report = json.loads(done.stdout)
        assert set(KEYS["demo"].split()) <= report.keys()
        for part in (report, report["reverse"], report["teardown"]):
            assert (part["lost_writes"], part["duplicated_writes"], part["failed_reads"]) == (0, 0, 0)
            assert part["acknowledged_writes"] > 0
            assert set(COUNTS) <= part.keys()
        assert [part["status"] for part in (report, report["reverse"])] == ["completed", "completed"]
        assert report["teardown"]["status"] == "torn_down"
        assert len(report["steps"]) == 11
        assert [step["step"] for step in report["reverse"]["steps"] if step["skipped"]] == [
            "dumping_data",
            "restoring_data",
        ]
        assert report["blocked_seconds"] > 0
        assert json.loads(manage("sandbox", "status", "--json").stdout)["processes"] == []
    finally:
        manage("sandbox", "reset")
    assert not home.exists()

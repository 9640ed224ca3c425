"""What the project promises about itself: checks, contracts, locks, and settings that are written down."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.management import call_command

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ("requirements.lock", "requirements-production.lock")


def test_system_checks_find_nothing():
    call_command("check", fail_level="WARNING")


@pytest.mark.django_db
def test_every_change_of_a_model_has_its_schema_change():
    call_command("makemigrations", check_changes=True, dry_run=True, verbosity=0)


def test_imports_point_one_way():
    lint_imports = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint_imports, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_page_keeps_the_database_for_long():
    """The web server's process, and no other."""
    ask = "from django.db import connection; print(connection.cursor().execute('SHOW statement_timeout').fetchone())"
    said = [
        subprocess.check_output([sys.executable, "-c", f"{first}; {ask}"], cwd=ROOT, text=True, timeout=60)
        for first in ("import portal.wsgi", "import django; django.setup()")
    ]
    assert [limit.strip() for limit in said] == ["('20s',)", "('0',)"]


def test_every_setting_is_documented():
    read = set(re.findall(r'\benv\.\w+\(\s*"(\w+)"', (ROOT / "portal/settings.py").read_text()))
    own, _, _ = (ROOT / "docs/settings.md").read_text().partition("## Read by the tools")
    assert read == set(re.findall(r"^\| `(\w+)` \|", own, re.MULTILINE))


def pinned(lock: str) -> dict[str, str]:
    """Each package of a lock with its entry."""
    entries = re.split(r"^(?=\w)", (ROOT / lock).read_text(), flags=re.MULTILINE)
    return {entry.split("==")[0]: entry for entry in entries if "==" in entry}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-(?!-hash=)", text, re.MULTILINE)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_of_a_lock_has_hashes(lock):
    packages = pinned(lock)
    assert packages
    assert not [name for name, entry in packages.items() if "--hash=sha256:" not in entry]


def test_production_runs_on_what_is_tested():
    """Same packages, same versions; `via` comments aside."""
    tested, shipped = (
        {name: re.findall(r"==\S+|--hash=\S+", entry) for name, entry in pinned(lock).items()} for lock in LOCKS
    )
    assert shipped == {name: tested.get(name) for name in shipped}


def test_every_picture_is_shown_and_every_shown_one_is_there():
    docs = [*ROOT.glob("docs/*.md"), ROOT / "README.md"]
    shown = {name for doc in docs for name in re.findall(r"screenshots/([\w-]+\.png)\)", doc.read_text())}
    assert shown == {picture.name for picture in (ROOT / "docs/screenshots").iterdir()}

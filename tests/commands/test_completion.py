"""The tab key: bash is run with the script, and zsh and fish where they are."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from migrations_app.management.arguments import ACTIVE_MOVE, ALL, APP, MOVE, RETAINED, USER, WAITING_MOVE
from migrations_app.management.completion import SHELLS, script
from migrations_app.states import Status
from tests import on_paper
from tests.commands.running import run
from tests.people import person

ROOT = Path(__file__).resolve().parents[2]


def replies(*lines: list[str], asked: str = "") -> list[list[str]]:
    """What bash offers where the last word of each line stands. `asked`: what the portal answers when it is."""
    told = [f"ZSH_VERSION=\n{script('bash')}"]
    if asked:
        told.append(f"_portal_ask() {{ echo {shlex.quote(asked)}; }}")
    for words in lines:
        typed = " ".join(map(shlex.quote, words))
        told.append(f'COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _portal; echo "${{COMPREPLY[@]}}"')
    done = subprocess.run(
        ["bash", "--norc", "-u", "-c", "\n".join(told)], capture_output=True, text=True, timeout=60, check=True
    )
    assert not done.stderr
    return [line.split() for line in done.stdout.splitlines()]


OFFERED: list[tuple[list[str], list[str]]] = [
    (["mo"], ["move_app", "move_app_status"]),
    (["help", "move_app_"], ["move_app_status"]),
    (["manage_migrations", "re"], ["retry", "reverse"]),
    (["manage_migrations", "abort", "--w"], ["--watch"]),
    (["manage_migrations", "abort", "--reason", "it is late", "--w"], ["--watch"]),
    (["move_app", "--reason", ""], []),
    (["move_app", "shop", "eu-west-1", "--strategy", ""], ["snapshot", "live", "auto"]),
    (["move_app", "shop", "eu-west-1", "--strategy", "=", "l"], ["live"]),
    (["verify_migration", "--depth=s"], ["--depth=sample", "--depth=schema"]),
    (["verify_migration", "x", "--depth", "s"], ["sample", "schema"]),
    (["sandbox", ""], ["up", "down", "status", "reset", "env"]),
    (["completion", ""], list(SHELLS)),
    (["no_such_command", ""], []),
]


@pytest.mark.parametrize("call", ["manage.py", "./manage.py", ".venv/bin/python manage.py", "python manage.py"])
def test_bash_offers_what_the_parsers_take(call: str) -> None:
    assert replies(*([*call.split(), *typed] for typed, _ in OFFERED)) == [offered for _, offered in OFFERED]


def test_bash_asks_the_portal_for_what_is_on_the_books() -> None:
    asked = {
        "move_app ": ["shop", "shed"],
        "move_app she": ["shed"],
        "move_app --watch shop s": ["shop", "shed"],
        "work s": ["shop", "shed"],
        "list_regions --as sho": ["shop"],
    }
    lines = [["./manage.py", *line.split(" ")] for line in asked]
    assert replies(*lines, asked="shop shed") == list(asked.values())


def test_bash_asks_by_the_very_words_that_were_typed() -> None:
    """Whichever python, wherever the checkout."""
    python = 'python() { echo "$@" | tr " " "-"; }'
    told = (
        f"ZSH_VERSION=\n{script('bash')}\n{python}\nstart=1 COMP_WORDS=(python x/manage.py move_app); _portal_ask apps"
    )
    done = subprocess.run(["bash", "--norc", "-c", told], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "x/manage.py-completion---list-apps"


@pytest.mark.parametrize("words", [["python", "other.py", "mo"], ["python", ""], ["python3", "-m", "mo"]])
def test_other_programs_of_python_are_left_alone(words: list[str]) -> None:
    assert replies(words) == [[]]


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not there.")
def test_fish_takes_its_script() -> None:
    told = f"{script('fish')}\ncomplete -C 'python manage.py manage_migrations re'"
    done = subprocess.run(["fish", "--no-config", "-c", told], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["retry", "reverse"]


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not there.")
def test_zsh_takes_its_script() -> None:
    told = f"{script('zsh')}\necho $_comps[manage.py]"
    done = subprocess.run(["zsh", "-f", "-c", told], capture_output=True, text=True, timeout=60, check=True)
    assert "_portal" in done.stdout


@pytest.mark.django_db(transaction=True)
def test_what_is_on_the_books_is_told_in_words_that_a_shell_takes_as_they_are() -> None:
    shop, shed = on_paper.app("shop"), on_paper.app("shed")
    running = on_paper.move(shop, status=Status.RUNNING)
    done = on_paper.completed(shed)
    person("ann", "Operator")
    person("$(touch /tmp/no) x", "Operator")

    def words(what: str) -> list[str]:
        told = run("completion", "--list", what).out
        return [line.partition("\t")[0] for line in told.splitlines() if line]

    assert words(APP.what) == ["shed", "shop"]
    assert words("regions") == ["eu-west-1", "us-east-1"]
    assert words(USER.what) == ["ann"]
    assert words(ACTIVE_MOVE.what) == [str(running.pk)]
    assert words(RETAINED.what) == [str(done.pk)]
    assert words(MOVE.what) == [str(running.pk), str(done.pk)]
    assert words(WAITING_MOVE.what) == []
    assert run("completion", "--list", ACTIVE_MOVE.what).out == f"{running.pk}\tshop us-east-1 → eu-west-1 running\n"


@pytest.fixture
def away() -> Iterator[dict[str, str]]:
    """The environment of a command whose portal's database accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        yield {**os.environ, "DATABASE_URL": f"postgres://x@127.0.0.1:{mute.getsockname()[1]}/x?connect_timeout=60"}


def test_nobody_waits_at_the_prompt_for_a_portal_that_is_away(away: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "manage.py", "completion", "--list", "apps"],
        env=away, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_there_is_an_answer_to_all_that_scripts_ask() -> None:
    asked = {word for place in script("bash").splitlines() for word in place.split("'") if word.startswith("@")}
    assert asked == {f"@{what}" for what in ALL}

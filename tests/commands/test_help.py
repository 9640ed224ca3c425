"""Help, examples and the page made from them."""

from __future__ import annotations

import ast
import shlex
from argparse import Action
from pathlib import Path

import pytest
from django.core.management import call_command, get_commands, load_command_class

from migrations_app.management.documentation import document
from migrations_app.management.lines import Command, Line, commands, is_help
from tests.commands.running import run

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(commands())


@pytest.mark.parametrize("name", NAMES)
def test_a_command_says_what_it_is_for_and_gives_examples(name: str) -> None:
    command = commands()[name]
    assert command.help.endswith(".")
    assert "\n" not in command.help
    assert 2 <= len(command.examples) <= (4 if not command.verbs else 8)
    for line in (command, *command.verbs):
        assert line.parser.description, line.name
        for action in (*line.positionals, *line.options):
            assert action.help, f"{line.name} {action.dest}"


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_are_lines_the_command_understands(name: str) -> None:
    for what, line in commands()[name].examples:
        first, *argv = shlex.split(line.partition(" >")[0].partition(" |")[0])
        assert first == name
        load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(argv)
        assert not what.endswith("."), what


def test_a_verb_shows_its_own_examples_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("manage_migrations", "keep", "--help").status == 0
    said = capsys.readouterr().out
    assert "manage.py manage_migrations keep 4d2f8a1c" in said
    assert "manage_migrations abort" not in said
    assert "130  stopped with Ctrl-C" in said


def test_examples_stay_whole_in_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    run("move_app", "--help")
    said = capsys.readouterr().out
    assert '  manage.py move_app shop eu-west-1 --reason "closer to its users" --as requester\n' in said


def test_djangos_own_options_are_taken_and_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    run("completion", "--help")
    assert "--pythonpath" not in capsys.readouterr().out
    assert run("completion", "bash", "--no-color", "--traceback").status == 0


def test_the_page_is_that_of_the_commands_as_they_are() -> None:
    assert (ROOT / "docs/cli.md").read_text() == document(), (
        "Make it anew: .venv/bin/python manage.py document_commands > docs/cli.md"
    )


def test_the_page_has_every_argument() -> None:
    page = document()

    def named(action: Action) -> str:
        return action.option_strings[-1] if action.option_strings else str(action.metavar).replace("|", r"\|")

    def lines(command: Command) -> list[Line]:
        return list(command.verbs) or [command]

    for command in commands().values():
        for line in lines(command):
            usage = page.partition(f"\nmanage.py {line.name} ")[2].partition("\n#")[0]
            for action in (*line.positionals, *line.options):
                assert is_help(action) or named(action) in usage, f"{line.name} {action.dest}"


def test_the_first_page_names_the_portals_commands_first(capsys: pytest.CaptureFixture[str]) -> None:
    from portal.command_line import CommandLine

    said = CommandLine(["manage.py"]).main_help_text()
    assert said.index("move_app ") < said.index("Django")
    assert all(command.summary in said for command in commands().values())


SPOKEN = ("rules", "queries", "transitions", "registration", "approvals")


@pytest.mark.parametrize(
    "path",
    [
        *(ROOT / "migrations_app" / f"{name}.py" for name in SPOKEN),
        *(ROOT / "migrations_app/actions").glob("*.py"),
        *(ROOT / "migrations_app/management").rglob("*.py"),
        *(ROOT / "portal/sandbox/management/commands").glob("*.py"),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_refusal_is_a_dead_end(path: Path) -> None:
    """Each has a hint what to do."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        has_hint = "hint" in {keyword.arg for keyword in node.keywords}
        if node.func.id == "Blocker":
            assert has_hint or len(node.args) == 3, ast.unparse(node)
        elif node.func.id in ("InvalidInput", "NotFound", "Forbidden", "PortalError", "Stopped"):
            assert has_hint, ast.unparse(node)


def test_the_documentation_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("document_commands")
    assert capsys.readouterr().out == document()

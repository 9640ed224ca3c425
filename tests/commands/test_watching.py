"""--watch: what it follows, how it ends, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.db import connection
from django.db.models.functions import Now
from rich.console import Console

from migrations_app import actions, queries
from migrations_app.actions import deciding, requesting
from migrations_app.management import watch, watch_teardown
from migrations_app.management.watch import _screen
from migrations_app.models import AppMigration, Approval, SourceReplica
from migrations_app.states import ApprovalState, Kind, ReplicaState, Status
from tests import on_paper
from tests.commands.running import run
from tests.people import person

pytestmark = pytest.mark.django_db(transaction=True)

WHY = ("--reason", "a test")
ROOT = Path(__file__).resolve().parents[2]


class Meanwhile:
    """What happens while a command waits: one thing each time it would sleep."""

    def __init__(self) -> None:
        self.acts: list[Callable[[], object]] = []

    def sleep(self, seconds: float) -> None:
        assert self.acts, "It waits for what nobody does."
        self.acts.pop(0)()

    def then(self, *acts: Callable[[], object]) -> None:
        self.acts += acts

    def becomes(self, status: Status) -> Callable[[], object]:
        ended = {"pivot_at": Now(), "completed_at": Now()} if status == Status.COMPLETED else {}
        return lambda: AppMigration.objects.filter(kind=Kind.MOVE).update(status=status, **ended)


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch, settings: LazySettings) -> Meanwhile:
    """Nothing needs a second person, nobody asks the regions."""
    settings.MOVES_FOUR_EYES = frozenset()
    found = Meanwhile()
    for module in (watch, watch_teardown):
        monkeypatch.setattr(module.time, "sleep", found.sleep)
    for module in (requesting, deciding):
        monkeypatch.setattr(module, "look", lambda row: [])
    on_paper.region("eu-west-1")
    return found


@pytest.mark.parametrize(
    ("end", "status"), [(Status.COMPLETED, 0), (Status.FAILED, 1), (Status.ABORTED, 1), (Status.HELD, 1)]
)
@pytest.mark.parametrize("flags", [[], ["--json"]])
def test_a_move_is_followed_to_its_end(meanwhile: Meanwhile, end: Status, status: int, flags: list[str]) -> None:
    on_paper.app("shop")
    meanwhile.then(meanwhile.becomes(Status.RUNNING), meanwhile.becomes(end))
    ran = run("move_app", "shop", "eu-west-1", *WHY, "--watch", *flags)
    assert ran.status == status
    if flags:
        assert ran.answer == {"migration_id": str(AppMigration.objects.get().pk), "status": end}
    else:
        assert f"status {end}" in ran.out
    assert run("move_app_status", "shop", "--watch", *flags).status == status


@pytest.mark.parametrize(("end", "status"), [(Status.ABORTED, 0), (Status.COMPLETED, 1), (Status.HELD, 1)])
def test_an_abort_is_followed_until_all_is_undone(meanwhile: Meanwhile, end: Status, status: int) -> None:
    move = on_paper.move(on_paper.app("shop"), status=Status.RUNNING)
    meanwhile.then(meanwhile.becomes(end))
    ran = run("manage_migrations", "abort", str(move.pk), *WHY, "--watch", "--json")
    assert (ran.status, ran.answer["status"]) == (status, end)


def test_an_abort_of_what_has_not_begun_is_over_at_once(meanwhile: Meanwhile) -> None:
    move = on_paper.move(on_paper.app("shop"), status=Status.QUEUED)
    assert run("manage_migrations", "abort", str(move.pk), *WHY, "--watch", "--json").status == 0


@pytest.mark.parametrize("approved", [True, False])
def test_an_abort_that_waits_for_approval_may_come_too_late(
    meanwhile: Meanwhile, settings: LazySettings, approved: bool
) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"abort"})
    ben = person("ben", "Admin")
    move = on_paper.move(on_paper.app("shop"), status=Status.RUNNING)
    if approved:
        meanwhile.then(lambda: actions.approve(move_id=move.pk, acting_user=ben), meanwhile.becomes(Status.ABORTED))
    else:
        meanwhile.then(meanwhile.becomes(Status.COMPLETED))
    ran = run("manage_migrations", "abort", str(move.pk), *WHY, "--watch", "--json")
    assert (ran.status, ran.answer["status"]) == ((0, "aborted") if approved else (1, "completed"))


@pytest.mark.parametrize(
    ("was_undoing", "end", "status"),
    [
        ("", Status.COMPLETED, 0),
        ("", Status.FAILED, 1),
        (Status.FAILED, Status.FAILED, 0),
        (Status.ABORTED, Status.FAILED, 1),
    ],
)
def test_a_retry_is_followed_forward_or_to_the_end_of_the_undoing(
    meanwhile: Meanwhile, was_undoing: str, end: Status, status: int
) -> None:
    move = on_paper.move(on_paper.app("shop"), status=Status.HELD, ends_as=was_undoing)
    meanwhile.then(meanwhile.becomes(end))
    assert run("manage_migrations", "retry", str(move.pk), *WHY, "--watch", "--json").status == status


def test_a_reverse_is_followed_as_the_move_it_is(meanwhile: Meanwhile) -> None:
    done = on_paper.completed(on_paper.app("shop"))
    back = AppMigration.objects.exclude(pk=done.pk)
    meanwhile.then(lambda: back.update(status=Status.COMPLETED, pivot_at=Now(), completed_at=Now()))
    ran = run("manage_migrations", "reverse", str(done.pk), *WHY, "--watch", "--json")
    assert ran.status == 0
    assert ran.answer == {
        "migration_id": str(AppMigration.objects.exclude(pk=done.pk).get().pk),
        "status": "completed",
        "path": "fast",
    }


def test_an_approval_is_followed_to_the_end_of_what_it_lets_begin(meanwhile: Meanwhile, settings: LazySettings) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"move"})
    person("ben", "Admin")
    on_paper.app("shop")
    move = run("move_app", "shop", "eu-west-1", *WHY, "--json").answer["migration_id"]
    meanwhile.then(meanwhile.becomes(Status.RUNNING), meanwhile.becomes(Status.COMPLETED))
    ran = run("approve_migration", move, "--as", "ben", "--watch", "--json")
    assert (ran.status, ran.answer) == (0, {"migration_id": move, "status": "completed"})


@pytest.fixture
def replica(meanwhile: Meanwhile) -> SourceReplica:
    return on_paper.completed(on_paper.app("shop")).source_replica


def torn_down(replica: SourceReplica) -> Callable[[], object]:
    act = [{"at": "2030-01-01", "text": "Dropped the database."}]
    return lambda: SourceReplica.objects.update(state=ReplicaState.TORN_DOWN, acts=act)


TEARDOWN = ("--confirm", "shop", *WHY)


def test_a_teardown_is_followed_act_by_act(
    meanwhile: Meanwhile, replica: SourceReplica, capsys: pytest.CaptureFixture[str]
) -> None:
    meanwhile.then(lambda: None, torn_down(replica))
    ran = run("teardown_source_replica", str(replica.migration_id), *TEARDOWN, "--watch")
    assert (ran.status, ran.out) == (0, "status torn_down\n")
    assert capsys.readouterr().out == "Dropped the database.\n"


def test_a_teardown_that_is_not_done_in_time_is_no_success(meanwhile: Meanwhile, replica: SourceReplica) -> None:
    ran = run("teardown_source_replica", str(replica.migration_id), *TEARDOWN, "--wait", "0", "--json")
    assert (ran.status, ran.answer["status"]) == (1, "tearing_down")


@pytest.mark.parametrize("approved", [True, False])
def test_a_teardown_is_followed_through_approval(
    meanwhile: Meanwhile, replica: SourceReplica, settings: LazySettings, approved: bool
) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"teardown"})
    ben = person("ben", "Admin")
    move = replica.migration_id
    if approved:
        meanwhile.then(lambda: actions.approve(move_id=move, acting_user=ben), torn_down(replica))
    else:
        meanwhile.then(lambda: actions.reject(move_id=move, acting_user=ben, reason="no"))
    ran = run("teardown_source_replica", str(move), *TEARDOWN, "--watch", "--json")
    assert (ran.status, ran.answer["status"]) == ((0, "torn_down") if approved else (1, "retained"))


def test_who_approves_a_teardown_may_follow_it(
    meanwhile: Meanwhile, replica: SourceReplica, settings: LazySettings
) -> None:
    settings.MOVES_FOUR_EYES = frozenset({"teardown"})
    person("ben", "Admin")
    run("teardown_source_replica", str(replica.migration_id), *TEARDOWN)
    assert Approval.objects.get().state == ApprovalState.OPEN
    meanwhile.then(torn_down(replica))
    assert run("approve_migration", str(replica.migration_id), "--as", "ben", "--watch").status == 0


@pytest.mark.parametrize(
    ("fields", "verbs"),
    [({}, "retry|abort"), ({"pivot_at": "2030-01-01T00:00Z"}, "retry|reverse"), ({"ends_as": Status.FAILED}, "retry")],
)
def test_a_held_move_says_who_has_to_do_what(meanwhile: Meanwhile, fields: dict[str, str], verbs: str) -> None:
    move = on_paper.move(on_paper.app("shop"), status=Status.HELD, **fields)
    assert f"manage_migrations {verbs} {move.pk} --reason WHY" in run("move_app_status", "shop").out


def test_a_narrow_terminal_shows_every_step_whole() -> None:
    move = on_paper.move(on_paper.app("shop"), status=Status.RUNNING)
    console = Console(width=60, record=True, quiet=False, file=open(os.devnull, "w"))  # noqa: SIM115, PTH123
    console.print(_screen(queries.move(move.pk, viewer=None), console.width))
    assert "setting_up_reverse_replication" in console.export_text()


def test_ctrl_c_stops_the_watching_and_nothing_else() -> None:
    move = on_paper.move(on_paper.app("shop"), status=Status.RUNNING)
    of = connection.settings_dict
    url = f"postgres://{of['USER']}@{of['HOST']}:{of['PORT']}/{of['NAME']}"
    watching = subprocess.Popen(
        [sys.executable, ROOT / "manage.py", "move_app_status", "shop", "--watch"],
        env={**os.environ, "DATABASE_URL": url},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        # A shell's background job, as the tests may be, hands down that SIGINT is ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert watching.stdout
    assert str(move.pk) in watching.stdout.readline()
    watching.send_signal(signal.SIGINT)
    _, said = watching.communicate(timeout=30)
    assert watching.returncode == 130, said
    assert said.splitlines() == [
        f"The move goes on without you: {move.pk} is running.",
        f"See how: move_app_status shop {move.pk}",
    ]
    move.refresh_from_db()
    assert move.status == Status.RUNNING


def test_ctrl_c_in_the_middle_of_a_question_is_no_database_that_does_not_answer(meanwhile: Meanwhile) -> None:
    def press() -> None:
        connection.connection.pgconn.send_query(b"SELECT 1")
        raise KeyboardInterrupt

    on_paper.app("shop")
    meanwhile.then(press)
    ran = run("move_app", "shop", "eu-west-1", *WHY, "--watch", "--json")
    assert (ran.status, ran.answer["error"]) == (130, "stopped")


def test_ctrl_c_is_one_object_too(meanwhile: Meanwhile) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    on_paper.app("shop")
    meanwhile.then(press)
    ran = run("move_app", "shop", "eu-west-1", *WHY, "--watch", "--json")
    assert (ran.status, ran.answer["error"]) == (130, "stopped")
    assert f"move_app_status shop {AppMigration.objects.get().pk}" in ran.answer["hint"]
    assert json.loads(ran.out) == ran.answer

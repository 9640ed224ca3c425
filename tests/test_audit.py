"""The audit trail: what it says, that nobody rewrites it unseen, and how it leaves the portal."""

from __future__ import annotations

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from migrations_app import actions, audit
from migrations_app.models import App, AppMigration, AuditEvent, Region
from migrations_app.origin import acting_from
from tests.people import person
from tests.test_commands import answer, command

pytestmark = pytest.mark.django_db(transaction=True)

TABLE = AuditEvent._meta.db_table


@pytest.fixture
def app() -> App:
    for slug in ("us-east-1", "eu-west-1"):
        Region.objects.create(slug=slug, database="host=127.0.0.1 dbname=postgres")
    return App.objects.create(slug="shop", database="shop", region=Region.objects.get(slug="us-east-1"))


@pytest.fixture
def move(app: App) -> AppMigration:
    """One that was asked for and aborted: two events."""
    move = actions.request_move(app_slug="shop", dest_slug="eu-west-1", acting_user=None, reason="closer")
    return actions.abort(move_id=move.pk, acting_user=None, reason="=too late")


def tamper(statement: str, *params: Any) -> None:
    """What somebody could do who owns the table."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {TABLE} DISABLE TRIGGER USER")
        cursor.execute(statement, params)
        cursor.execute(f"ALTER TABLE {TABLE} ENABLE TRIGGER USER")


def found() -> list[str]:
    return [problem.found for problem in audit.verify().problems]


def test_an_event_says_who_did_what_to_what_from_where_and_why(app: App) -> None:
    ann = person("ann", "Operator")
    with acting_from("admin", "192.0.2.7"):
        move = actions.request_move(app_slug="shop", dest_slug="eu-west-1", acting_user=ann, reason="closer")
    event = AuditEvent.objects.get()
    assert (event.actor, event.actor_name, event.surface, event.address) == (ann, "ann", "admin", "192.0.2.7")
    assert (event.verb, event.target, event.app) == ("request", "move shop us-east-1 → eu-west-1", app)
    assert (event.from_status, event.to_status, event.reason) == ("", "queued", "closer")
    assert (event.chain, event.number, event.previous_hash) == (str(move.pk), 1, "")


def test_a_command_says_whose_shell_it_was(app: App) -> None:
    answer("move_app", "shop", "eu-west-1", "--reason", "closer")
    event = AuditEvent.objects.get()
    assert (event.surface, event.actor) == ("command", None)
    assert "@" in event.address


def test_the_time_is_the_databases_whatever_the_program_says(move: AppMigration) -> None:
    first = AuditEvent.objects.get(number=1)
    forged = AuditEvent.objects.create(
        verb="forged", migration=move, at="2001-01-01T00:00Z", chain="mine", number=7, hash="0" * 64
    )
    forged.refresh_from_db()
    assert forged.at > first.at
    assert (forged.chain, forged.number) == (str(move.pk), 3)
    assert found() == []


@pytest.mark.parametrize(
    "statement", [f"UPDATE {TABLE} SET reason = 'x'", f"DELETE FROM {TABLE}", f"TRUNCATE {TABLE} CASCADE"]
)
def test_the_database_refuses_to_rewrite_the_trail(move: AppMigration, statement: str) -> None:
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert AuditEvent.objects.count() == 2


def test_an_untouched_trail_is_as_it_was_written(move: AppMigration) -> None:
    actions.note_edit(verb="edit", target='region ✓ "quoted" \\ \x01 \t', changes="a\nb", acting_user=None)
    status, verdict = answer("verify_audit")
    assert (status, verdict["ok"], verdict["events"], verdict["problems"]) == (0, True, 3, [])
    assert set(verdict["heads"]) == {str(move.pk), "portal"}
    assert command("verify_audit", str(move.pk))[1] == "2 events in 1 chains: all as they were written.\n"


@pytest.mark.parametrize(
    "field", ["at", "actor_name", "surface", "address", "verb", "target", "from_status", "to_status", "reason"]
)
def test_one_changed_byte_is_found(move: AppMigration, field: str) -> None:
    changed = "at + interval '1 microsecond'" if field == "at" else f"{field} || ' '"
    tamper(f"UPDATE {TABLE} SET {field} = {changed} WHERE number = 1")
    status, verdict = answer("verify_audit")
    assert status == 1
    first = verdict["problems"][0]
    assert (first["number"], first["found"]) == (1, "it was changed: its hash is not its own")


def test_a_hash_made_to_fit_breaks_the_chain(move: AppMigration) -> None:
    tamper(f"UPDATE {TABLE} SET reason = 'forged' WHERE number = 1")
    tamper(
        f"UPDATE {TABLE} e SET hash = encode(sha256(convert_to(migrations_app_audit_content(e), 'UTF8')), 'hex') "
        "WHERE number = 1"
    )
    assert found() == ["it does not follow from the event before it"]


def test_an_event_taken_out_is_missed(move: AppMigration) -> None:
    tamper(f"DELETE FROM {TABLE} WHERE number = 1")
    assert "event 1 is missing" in found()


def test_an_end_cut_off_does_not_fit_the_move(move: AppMigration) -> None:
    tamper(f"DELETE FROM {TABLE} WHERE number = 2")
    assert found() == ["the move is aborted, and its last event says queued"]


def test_a_whole_chain_taken_out_is_missed(move: AppMigration) -> None:
    tamper(f"DELETE FROM {TABLE}")
    assert found() == ["the move is aborted, and its last event says nothing"]


def test_events_of_many_writers_make_one_chain(app: App) -> None:
    def write(number: int) -> None:
        try:
            actions.note_edit(verb="edit", target=f"region {number}", changes="", acting_user=None)
        finally:
            connection.close()

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(write, range(50)))
    assert sorted(AuditEvent.objects.values_list("number", flat=True)) == list(range(1, 51))
    assert found() == []


def test_the_trail_is_exported_as_json_lines(move: AppMigration) -> None:
    lines = [json.loads(line) for line in command("export_audit", "--app", "shop")[1].splitlines()]
    assert [(line["verb"], line["to_status"]) for line in lines] == [("request", "queued"), ("abort", "aborted")]
    assert tuple(lines[0]) == audit.FIELDS
    assert lines[1]["previous_hash"] == lines[0]["hash"]
    assert [audit.hash_of(line) for line in lines] == [line["hash"] for line in lines]


def test_no_cell_of_the_csv_is_a_formula(move: AppMigration) -> None:
    for start in "=+-@\t\r\n":
        actions.note_edit(verb="edit", target=f"{start}cmd|' /C calc'!A0", changes='a,b\n"c"', acting_user=None)
    rows = list(csv.DictReader(io.StringIO(command("export_audit", "--format", "csv")[1])))
    assert len(rows) == 9
    assert rows[1]["reason"] == "'=too late"
    assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for row in rows for cell in row.values())

"""The live plan: the app goes on writing while its data is copied."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from migrations_app import actions, queries
from migrations_app.dataplane import blobs
from migrations_app.models import App, AppMigration, Region
from migrations_app.move import Move, bucket
from migrations_app.states import Status, Strategy
from migrations_app.steps import comparing, flipping_routing, routing
from tests.conftest import Shop, before, carry, moved, reversed_, torn_down, traces
from tests.test_commands import command
from tests.test_guestbook_move import audited, under_traffic
from tests.test_live_traps import while_copying


def moved_live(app: App, dest: str = "eu-west-1") -> AppMigration:
    return moved(app, dest, strategy=Strategy.LIVE)


def test_the_app_comes_up_with_everything_and_can_go_back(shop: Shop, us: Region, eu: Region) -> None:
    move = moved_live(shop.app)
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert shop.sql(eu, "SELECT count(*) FROM item") == [(500,)]
    back = reversed_(move)
    assert (back.status, back.last_error) == (Status.COMPLETED, "")
    torn_down(back)
    assert traces(shop, us) == traces(shop, eu) == []


def test_a_rehearsal_copies_everything_blocks_nothing_and_leaves_nothing(shop: Shop, us: Region, eu: Region) -> None:
    rehearsal = carry(
        actions.request_move(
            app_slug=shop.app.slug, dest_slug="eu-west-1", acting_user=None, reason="a test", rehearse=True
        )
    )
    assert (rehearsal.status, rehearsal.last_error, rehearsal.writes_blocked_at) == (Status.COMPLETED, "", None)
    assert rehearsal.app.region == us
    assert traces(shop, us) == traces(shop, eu) == []
    assert not shop.cluster(eu).exists()
    assert moved_live(shop.app).status == Status.COMPLETED


def test_the_guest_book_moves_under_traffic(app: App) -> None:
    """No read fails; a write is refused inside the block only, and none that was acknowledged is lost."""
    move, ledger = under_traffic(app, lambda: moved_live(app))
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert audited(app, ledger).ok
    assert ledger.failed_reads == 0, ledger.read_failures
    assert ledger.refused


def test_auto_is_live_where_that_is_possible_and_else_says_why_not(
    make_shop: Callable[..., Shop], us: Region, eu: Region
) -> None:
    plain = moved(make_shop().app, "eu-west-1", strategy=queries.AUTO)
    assert (plain.status, plain.strategy) == (Status.COMPLETED, Strategy.LIVE)
    triggered = make_shop(
        schema="""
        CREATE TABLE item (id bigint PRIMARY KEY, name text);
        CREATE TABLE seen (id bigint);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN INSERT INTO seen VALUES (NEW.id); RETURN NEW; END $$;
        CREATE TRIGGER see AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION see();
        ALTER TABLE item ENABLE ALWAYS TRIGGER see;
        """
    )
    move = moved(triggered.app, "eu-west-1", strategy=queries.AUTO)
    assert (move.status, move.strategy) == (Status.COMPLETED, Strategy.SNAPSHOT)
    assert "PF404" in move.strategy_reason


def test_both_sides_can_be_compared_while_the_move_is_under_way(
    shop: Shop, us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []

    def compare(move: Move) -> None:
        found.append(command("verify_migration", str(move.row.pk)))
        shop.sql(us, "UPDATE item SET name = 'changed' WHERE id = 1")

    while_copying(monkeypatch, compare)
    assert moved_live(shop.app).status == Status.COMPLETED
    assert [status for status, _ in found] == [0]


def test_late_blobs_are_there_before_reads_are(
    app: App, us: Region, eu: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = [blobs.join(bucket(region, app), "late.txt") for region in (us, eu)]
    route, seen = routing.route, []

    def look_first(move: Move, region: Region, *, fenced: bool) -> None:
        if region == eu:
            seen.append(blobs.is_file(late[1]))
        route(move, region, fenced=fenced)

    before(monkeypatch, flipping_routing, lambda move: blobs.write_text(late[0], "late"))
    monkeypatch.setattr(routing, "route", look_first)
    move = moved_live(app)
    assert (move.status, move.last_error) == (Status.COMPLETED, "")
    assert seen[0]


def test_no_key_of_a_row_is_in_the_portals_database(
    make_shop: Callable[..., Shop], us: Region, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be a secret, like the token of a session."""
    shop = make_shop(schema="CREATE TABLE login (token text PRIMARY KEY, at timestamptz)")
    keep, kept, on_the_books = comparing._keep, [], []

    def look(move: Move, state: dict[str, Any]) -> None:
        keep(move, state)
        kept.append(json.dumps(state))
        row = AppMigration.objects.get(pk=move.row.pk)
        on_the_books.append(json.dumps([row.facts, row.verification, *(run.acts for run in row.step_runs.all())]))

    monkeypatch.setattr(comparing, "_keep", look)
    while_copying(monkeypatch, lambda move: shop.sql(us, "INSERT INTO login VALUES ('s3cret-token', now())"))
    assert moved_live(shop.app).status == Status.COMPLETED
    assert "s3cret-token" in " ".join(kept)
    assert "s3cret-token" not in " ".join(on_the_books)
